/** A server's memory of its leases on a disk of 12 MiB: what is kept of inputs makes room for what comes. Prints what came of it. */
import { createHash, randomBytes } from "node:crypto";
import { openJournal } from "../../packages/xenoserver/src/lease/journal.ts";

const MIB = 1024 * 1024;
const [, , folder = ""] = process.argv;
const journal = await openJournal(folder, { inputs: () => ({ bytesMax: 1e9, keepMs: 1e9 }) });
const bringer = { customer: "carl", account: "a_1" };

async function bring(lease: string, mib: number): Promise<{ digest: string; isRight: boolean }> {
  const bytes = randomBytes(mib * MIB);
  const digest = createHash("sha256").update(bytes).digest("hex");
  const blob = await journal.arriving(lease, bringer, { digest, size: bytes.length }, true);
  try {
    for (let at = 0; at < bytes.length; at += MIB) await blob.append(bytes.subarray(at, at + MIB));
    return { digest, isRight: await blob.finish() };
  } finally {
    await blob.close();
  }
}

async function isKept(digest: string, size: number): Promise<boolean> {
  const blob = await journal.arriving("asks", bringer, { digest, size }, true);
  await blob.close();
  const { size: there } = blob;
  await journal.remove("asks");
  return there === size;
}

const first = await bring("first", 8);
await journal.remove("first");
const second = await bring("second", 9);
const kept = { firstIsKept: await isKept(first.digest, 8 * MIB), secondIsKept: await isKept(second.digest, 9 * MIB) };
// what a lease still has frees nothing, and is not let go of for that (kubernetes 71869)
const tooMuch = await bring("third", 9).then(
  () => "came",
  (error: NodeJS.ErrnoException) => error.code,
);
const isStillKept = await isKept(second.digest, 9 * MIB);
console.log(JSON.stringify({ first: first.isRight, second: second.isRight, ...kept, tooMuch, isStillKept }));
