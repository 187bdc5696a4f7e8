/** Output while it comes. Whoever reads slowly slows the job's stream; nothing is held beyond a window. */
import { Market } from "@xenoservers/sdk";

const STEPS = `
for step in range(3):
    print("step", step, flush=True)
`;

const market = await Market.connect();
const job = await market.run({ python: { source: STEPS }, budget: "0.10", onState: (state) => console.log(`(${state})`) });
for await (const { stream, text } of job.output) (stream === "stdout" ? process.stdout : process.stderr).write(text);
const { end } = await job.result;
console.log(end.reason);
