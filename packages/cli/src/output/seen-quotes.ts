/**
 * Quotes that were shown whole on this machine, as digests: whoever runs the same thing on the same terms again is told so in one line.
 * Who controls the inputs: this machine's disk.
 */
import { createHash } from "node:crypto";
import path from "node:path";
import { readIfThere, writeWhole } from "@xenoservers/protocol/files";

const SEEN_MAX = 64;

/** Whether exactly these lines were shown before; from now on they were. A disk that keeps nothing has all shown each time. */
export async function wereSeen(data: string, lines: readonly string[]): Promise<boolean> {
  const file = path.join(data, "quotes-seen");
  const digest = createHash("sha256").update(lines.join("\n")).digest("hex");
  const seen = ((await readIfThere(file).catch(() => null)) ?? "").split("\n").filter((each) => each !== "");
  if (seen.includes(digest)) return true;
  const newest = [digest, ...seen].slice(0, SEEN_MAX);
  await writeWhole(file, newest.map((each) => `${each}\n`).join("")).catch(() => {});
  return false;
}
