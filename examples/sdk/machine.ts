/** A machine that stays: programs and files in it, a port of this machine that leads into it. */
import { Market } from "@xenoservers/sdk";

const [image = "debian:12"] = process.argv.slice(2);
const market = await Market.connect();
const job = await market.run({
  image,
  args: ["sh", "-c", "echo ready; sleep 100000"],
  ...{ mem: "256M", disk: "512M", accel: "any", network: true, maxTime: "30m", budget: "0.50" },
});
for await (const { text } of job.output) if (text.includes("ready")) break;

const machine = await market.machine(job.lease);
await machine.files.write("/tmp/name", "machine\n");
const { exitCode, stdout } = await machine.exec(["sh", "-c", "echo hello $(cat /tmp/name) $WHO"], { env: { WHO: "me" } });
console.log(exitCode, stdout.trim());
console.log(
  Buffer.from(await machine.files.read("/tmp/name"))
    .toString()
    .trim(),
);
const { port, close } = await machine.forward(8080); // until close(): 127.0.0.1:port is the guest's port 8080
console.log(port > 0);
close();
machine.close();

await job.stop();
console.log((await job.result).end.reason);
