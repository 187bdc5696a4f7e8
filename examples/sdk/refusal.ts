/** What goes wrong is an error of a closed list: whose fault it is, what it did to the money, what to do next. */
import { InputError, Market, MarketError, type RunInput } from "@xenoservers/sdk";

const market = await Market.connect();

async function tell(input: RunInput): Promise<void> {
  try {
    await (
      await market.run(input)
    ).result;
  } catch (error) {
    if (!(error instanceof MarketError)) throw error; // this program's own mistake
    const whose = error instanceof InputError ? "before anything was signed" : `by ${error.blame}'s fault`;
    console.log(`${error.code}: ${whose}; money: ${error.money}; ${error.retryable ? "try again later" : "change something"}`);
    console.log(`  ${error.next}`);
  }
}

await tell({ python: { source: "import numpy" } });
await tell({ python: { source: "print(1)" }, where: "region=moon" });
await tell({ python: { source: "print(1)" }, account: "of nobody" });
