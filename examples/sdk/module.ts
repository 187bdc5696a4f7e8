/** A WebAssembly module (examples/count.c); it is looked at before anything is signed. */
import { fileURLToPath } from "node:url";
import { Market } from "@xenoservers/sdk";

const module = fileURLToPath(new URL("../count.wasm", import.meta.url));
const market = await Market.connect();
const job = await market.run({
  module, // its bytes, as a Uint8Array, work too
  files: { "one.txt": "to be or not to be\n" },
  ...{ mem: "64M", disk: "16M", budget: "0.10" },
});
const { exitCode, files, bill } = await job.result;
for (const { name, bytes } of files)
  console.log(
    name,
    Buffer.from(bytes ?? [])
      .toString()
      .trim(),
  );
console.log(`exit ${exitCode}, ${bill.billableFuel > 0n ? "billed by fuel" : "nothing was billed"}`);
