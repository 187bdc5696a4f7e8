/** A script on a rented computer: what it prints, and what it cost. */
import { Market } from "@xenoservers/sdk";

const market = await Market.connect();
const job = await market.run({ python: { source: "print('hello from', __import__('sys').platform)" }, budget: "0.10" });
const { ok, stdout, bill } = await job.result;
process.stdout.write(stdout);
console.log(`lease ${job.lease.slice(0, 12)}: ${bill.dueNanos} nanos`);
process.exitCode = ok ? 0 : 1;
