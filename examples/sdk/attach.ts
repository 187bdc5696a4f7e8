/** A program that crashed loses nothing: its leases stand with the market, and what was sent and signed lies on this machine. */
import { Market } from "@xenoservers/sdk";

const market = await Market.connect();
if (process.argv[2] === "crash") {
  const { lease } = await market.run({ python: { source: "open('/out/x', 'w').write('kept')\nprint('done')" }, budget: "0.10" });
  console.log(lease);
  process.kill(process.pid, "SIGKILL");
}

for await (const { id, state } of market.leases()) {
  const job = await market.attach(id); // from its first output on, whether it runs, waits for its inputs, or is over
  const { stdout, files, ok } = await job.result;
  console.log(`${id.slice(0, 12)} was ${state}: ${ok}, ${stdout.trim()}, ${files.map(({ name }) => name).join()}`);
}
