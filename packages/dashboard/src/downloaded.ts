/** Hands bytes to whoever sits here as a file, never as anything that a browser would open. Who controls the inputs: a stranger's job. */
import { said } from "./words.ts";

const NAME_MAX = 120;

/** The last part of a path, without what no file system likes in a name. */
export function fileNameOf(path: string): string {
  const last = path.split("/").at(-1) ?? "";
  const plain = said(last, NAME_MAX)
    .replaceAll(/[<>:"\\|?*]/g, "_")
    .replace(/^\.+/, "_");
  return plain === "" ? "file" : plain;
}

export const downloaded = (name: string, bytes: Uint8Array): void => blobDownloaded(name, new Blob([bytes.slice()]));

export function blobDownloaded(name: string, blob: Blob): void {
  const url = URL.createObjectURL(blob.slice(0, blob.size, "application/octet-stream"));
  const link = document.createElement("a");
  link.href = url;
  link.download = fileNameOf(name);
  link.click();
  // the browser has taken it by then
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
