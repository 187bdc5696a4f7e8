/**
 * A customer's program for many.thorough.test.ts: one lease, then as many at once as it is told to, of a module that it is given. Prints what
 * they came to, and what this process held beyond what it held after the first.
 */
import { Market, type JobResult } from "@xenoservers/sdk";

const [module = "", count = "1"] = process.argv.slice(2);

/** What nobody holds any more is not counted. */
function heldBytes(): number {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const market = await Market.connect();
let under = 0;
let underMax = 0;
let heldMax = 0;

async function lease(): Promise<JobResult> {
  const job = await market.run({ module, mem: "16M", disk: "1M", maxOutput: "1M", budget: "0.05" });
  underMax = Math.max(underMax, ++under);
  try {
    return await job.result;
  } finally {
    under--;
    heldMax = Math.max(heldMax, heldBytes());
  }
}

await lease();
const before = heldBytes();
[underMax, heldMax] = [0, 0];
const results = await Promise.all(Array.from({ length: Number(count) }, lease));
const isRight = ({ ok, stdout }: JobResult): boolean => ok && stdout === "hello\n";
const right = results.filter(isRight).length;
/** Of those that are not: how they ended. */
const others = [...new Set(results.filter((each) => !isRight(each)).map(({ end, detail }) => `${JSON.stringify(end)} ${detail}`))];
const mib = (bytes: number): number => Math.round(bytes / 1024 / 1024);
console.log(
  JSON.stringify({
    ...{ right, others, underMax, leases: new Set(results.map(({ lease: id }) => id)).size },
    ...{
      beforeMib: mib(before),
      grownMib: mib(heldMax - before),
      leftMib: mib(heldBytes() - before),
      rssMib: mib(process.memoryUsage().rss),
    },
  }),
);
