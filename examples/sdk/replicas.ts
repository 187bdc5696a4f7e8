/** The same job on the servers of two owners: a result only where what they signed agrees, or the market's referee has decided. */
import { Market } from "@xenoservers/sdk";

const market = await Market.connect();
const job = await market.run({ python: { source: "print(6 * 7)" }, replicas: 2, budget: "0.50" });
console.log(`${job.leases.length} leases`);

const { stdout, difference, replicas } = await job.result;
for (const { stands, verdict } of replicas) console.log(stands ? "stands" : `was wrong: ${verdict?.why ?? "nobody knows"}`);
console.log(difference ?? "agreed", stdout.trim());
