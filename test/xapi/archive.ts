/** An archive as a guest's `tar` writes it. */
import { headerOf } from "@xenoservers/testkit";

export function tarOf(files: ReadonlyMap<string, string>): Buffer {
  const parts = [...files].map(([name, text]) => headerOf(name, "0", Buffer.byteLength(text), text));
  return Buffer.concat([...parts.map((part) => Buffer.from(part)), Buffer.alloc(1_024)]);
}
