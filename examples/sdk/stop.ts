/** A signal calls a run off, at any moment: nothing is ordered any more, or what was ordered is given up and costs nothing from then on. */
import { GivenUpError, Market } from "@xenoservers/sdk";

const market = await Market.connect();
const off = new AbortController();
const job = await market.run({
  python: { source: "print('begun', flush=True)\nwhile True: pass" },
  budget: "0.50",
  maxTime: "10m",
  signal: off.signal, // AbortSignal.timeout(60_000) bounds a run by this side's clock
});
for await (const { text } of job.output) {
  process.stdout.write(text);
  off.abort(new Error("seen enough"));
  break;
}
try {
  await job.result;
} catch (error) {
  if (!(error instanceof GivenUpError)) throw error;
  console.log(`${error.code}: ${error.left}, money: ${error.money}`);
}
