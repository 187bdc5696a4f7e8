/** A result that is not believed: drawn audits are followed up, and another is brought before the market's referee. */
import { Market, RefusedError } from "@xenoservers/sdk";

const market = await Market.connect();
const job = await market.run({ python: { source: "print(6 * 7)" }, assurance: "replicated", budget: "0.50" });
const { lease, stdout } = await job.result;
console.log(stdout.trim());

for (const due of await market.audits()) {
  const { audit } = await market.audit(due);
  console.log(audit?.undone ?? audit?.wrong?.why ?? "drawn, and right");
}

try {
  const deposit = ({ leases }: { leases: readonly { depositNanos: bigint }[] }): void =>
    console.log(`puts down ${leases.reduce((sum, { depositNanos }) => sum + depositNanos, 0n)} nanos`);
  const { verdict } = await market.dispute(lease, { budget: "0.50", onTerms: deposit });
  console.log(verdict?.why ?? "the referee came to the same");
} catch (error) {
  // what was audited just now is not judged again
  if (!(error instanceof RefusedError)) throw error;
  console.log(`not judged: ${error.code}`);
}
