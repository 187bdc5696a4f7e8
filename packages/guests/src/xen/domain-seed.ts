/** What cloud-init is told, as a read-only disk beside the domain's own. Who controls the inputs: the customer (the files' bytes). */
import { readFile, stat, writeFile } from "node:fs/promises";
import { seedProblem, type VmBoot } from "@xenoservers/protocol";
import { seedDisk } from "../qemu/images/seed-disk.ts";
import { Refusal } from "../qemu/refusal.ts";

type SeedFiles = Extract<VmBoot, { kind: "disk" }>["seed"];

/** No file where there is nothing to tell. Throws Refusal where it is too much. */
export async function writeSeed(files: SeedFiles, { blobFile, to }: { blobFile(digest: string): string; to: string }): Promise<void> {
  if (files.length === 0) return;
  let bytes = 0;
  for (const { digest } of files) bytes += (await stat(blobFile(digest))).size;
  const problem = seedProblem(bytes);
  if (problem !== null) throw new Refusal("job", problem);
  const read = files.map(async ({ name, digest }) => ({ name, bytes: await readFile(blobFile(digest)) }));
  await writeFile(to, seedDisk(await Promise.all(read)), { flag: "wx", mode: 0o600 });
}
