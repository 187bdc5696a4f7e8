/** The one layer of an image of BusyBox alone. */
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileBlob } from "@xenoservers/sdk";
import { pack } from "tar-stream";

const NAMES = ["sh", "sleep", "echo", "cat", "dd", "nc", "true"] as const;

export async function busyboxLayer(folder: string): Promise<{ file: string; digest: string }> {
  const archive = pack();
  archive.entry({ name: "bin", type: "directory" });
  archive.entry({ name: "tmp", type: "directory", mode: 0o1777 });
  archive.entry({ name: "bin/busybox", mode: 0o755 }, await readFile("/bin/busybox"));
  for (const name of NAMES) archive.entry({ name: `bin/${name}`, type: "symlink", linkname: "busybox" });
  archive.finalize();
  const parts: Buffer[] = [];
  for await (const part of archive) parts.push(part as Buffer);
  const file = path.join(folder, "layer.tar");
  await writeFile(file, Buffer.concat(parts));
  return { file, digest: (await fileBlob(file)).digest };
}
