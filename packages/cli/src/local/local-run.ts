/** `xeno run --local`: the same engine and sandbox on this machine, no market, no money. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { ENGINE_VERSION } from "@xenoservers/guests";
import type { InputEntry } from "@xenoservers/protocol/channel";
import type { Wanted } from "@xenoservers/sdk";
import { createWasmDriver } from "@xenoservers/xenoserver";
import { writeResults } from "../output/deliver.ts";
import { finishJob, type ParsedJob } from "../input/job-from-args.ts";
import { home } from "../input/home.ts";
import { EXIT, printJson, say } from "../output/ui.ts";

export async function runLocally(parsed: ParsedJob, wanted: Wanted, out: string | undefined, json: boolean): Promise<number> {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-local-"));
  const driver = await createWasmDriver({ folder, cache: path.join(home.data, "prepared"), poolSize: 0, inUse: [] });
  try {
    const job = finishJob(parsed, ENGINE_VERSION);
    for (const [digest, blob] of job.blobs) if (!driver.hasRuntime(digest)) await writeFile(path.join(folder, digest), await blob.read(0, blob.size));
    const prepared = await driver.prepare({
      lease: "local",
      customer: "local",
      spec: job.spec,
      inputs: job.inputs,
      fuelMax: BigInt(job.spec.fuelMax),
      runMsMax: wanted.durationMsMax,
      checkpoints: null,
      blobFile: (digest) => path.join(folder, digest),
    });
    const guest = await prepared.begin();
    const read = { stdout: 0, stderr: 0 };
    const output = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
    const pump = async (): Promise<void> => {
      for (const stream of ["stdout", "stderr"] as const) {
        for (let bytes = await guest.readStream(stream, read[stream]); bytes.length > 0; bytes = await guest.readStream(stream, read[stream])) {
          read[stream] += bytes.length;
          if (json) output[stream].push(bytes);
          else process[stream].write(bytes);
        }
      }
    };
    let turn = Promise.resolve();
    guest.onChange(() => (turn = turn.then(pump)));
    const interrupt = (): void => void guest.stop();
    process.on("SIGINT", interrupt);
    const end = await guest.ended;
    process.removeListener("SIGINT", interrupt);
    await turn.then(pump);
    const tree: InputEntry[] = end.kind === "result" ? end.tree : [];
    await writeResults(tree, (entry) => guest.readOutput(entry.digest, 0, entry.size), out, parsed.shared);
    await guest.dispose();
    const reason = end.kind === "result" ? (end.reason === "stopped" ? "time-limit" : end.reason) : "server-failed";
    if (json)
      printJson({
        local: true,
        end: { reason, exitCode: end.kind === "result" ? end.exitCode : null, detail: end.detail },
        stdout: Buffer.concat(output.stdout).toString(),
        stderr: Buffer.concat(output.stderr).toString(),
      });
    else if (reason !== "completed") say(`ended: ${reason} ${end.detail}`);
    if (reason === "completed") return end.kind === "result" ? (end.exitCode ?? EXIT.xeno) : EXIT.xeno;
    return reason === "time-limit" || reason === "fuel-limit" ? EXIT.limit : reason === "memory-limit" || reason === "output-limit" ? EXIT.killed : EXIT.xeno;
  } finally {
    await driver.close();
    await rm(folder, { recursive: true, force: true });
  }
}
