/** An OCI image: a registry's name, oci:DIR:NAME or archive:FILE; its program's output, exit code and files. */
import { Market } from "@xenoservers/sdk";

const [image = "debian:12"] = process.argv.slice(2);
const market = await Market.connect();
const job = await market.run({
  image,
  args: ["sh", "-c", "cat /in/name; echo from the image > /out/note"],
  files: { name: "hello\n" },
  mem: "256M",
  disk: "512M",
  accel: "any", // servers without hardware for machines, too
  budget: "0.50",
});
const { stdout, exitCode, files } = await job.result;
process.stdout.write(stdout);
console.log(
  exitCode,
  ...files.map(
    ({ name, bytes }) =>
      `${name}: ${Buffer.from(bytes ?? [])
        .toString()
        .trim()}`,
  ),
);
