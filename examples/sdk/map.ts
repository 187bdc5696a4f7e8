/** One script over many inputs, two at a time, results in order; a market that is full for now is asked again. */
import { setTimeout } from "node:timers/promises";
import { Market, MarketError, type JobResult, type RunInput } from "@xenoservers/sdk";

const INPUTS = [1, 2, 3, 4, 5];
const AT_ONCE = 2;
const SQUARE = "import sys\nprint(int(sys.argv[1]) ** 2)";

const market = await Market.connect();
const results: string[] = [];
const waiting = INPUTS.entries();

async function ran(input: RunInput): Promise<JobResult> {
  for (;;) {
    try {
      return await (
        await market.run(input)
      ).result;
    } catch (error) {
      if (!(error instanceof MarketError && error.retryable)) throw error;
      await setTimeout(1_000);
    }
  }
}

async function worker(): Promise<void> {
  for (const [i, input] of waiting) {
    const { stdout } = await ran({ python: { source: SQUARE }, args: [String(input)], mem: "64M", budget: "0.05" });
    results[i] = stdout.trim();
  }
}

await Promise.all(Array.from({ length: AT_ONCE }, worker));
console.log(results.join(" "));
