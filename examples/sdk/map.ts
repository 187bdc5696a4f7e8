/** One script over many inputs, two at a time within one budget, results in order; a market that is full for now is waited for. */
import { Market } from "@xenoservers/sdk";

const INPUTS = [1, 2, 3, 4, 5];
const SQUARE = "import sys\nprint(int(sys.argv[1]) ** 2)";

const market = await Market.connect();
const squares = market.map(INPUTS, { python: { source: SQUARE }, mem: "64M", budget: "0.05" }, { parallel: 2, budget: "0.25" });
const results: string[] = [];
for await (const { result } of squares) results.push(result?.stdout.trim() ?? "-");
console.log(results.join(" "));
