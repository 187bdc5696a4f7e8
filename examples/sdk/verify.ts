/** A receipt, checked line by line: what is proved, and what is one party's word. Whoever changes a byte of it is found out. */
import { Market } from "@xenoservers/sdk";

const market = await Market.connect();
const job = await market.run({ python: { source: "print(6 * 7)" }, budget: "0.10" });
const { verification, lease } = await job.result;
console.log(`at once: ${verification.ok}`);

// later, or on another machine that has this one's folder: by the lease, from what is kept or fetched
const { ok, lines } = await market.verify(lease);
for (const { status, check, says } of lines) console.log(status.padEnd(7), check.padEnd(14), says);
console.log(ok ? "nothing in it is wrong" : "it does not hold");
