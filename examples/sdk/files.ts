/** Files in and out: inputs stand read-only in /in, and what the job leaves in /out comes back, checked against what the server signed. */
import { Market } from "@xenoservers/sdk";

const COUNTS = `
import collections, json
words = open("/in/text.txt").read().split()
json.dump(dict(collections.Counter(words)), open("/out/counts.json", "w"), sort_keys=True)
`;

const market = await Market.connect();
const job = await market.run({
  python: { source: COUNTS },
  files: { "text.txt": "to be or not to be" }, // bytes and { path: "file here" } work too
  budget: "0.10",
});
const { files } = await job.result;
for (const { name, bytes } of files) console.log(name, Buffer.from(bytes ?? []).toString());
