/** `xeno run --local`: the same engine and sandbox on this machine, no market, no money. */
import { writeFile } from "node:fs/promises";
import path from "node:path";
import type { EndReason } from "@xenoservers/market";
import { ENGINE_VERSION, forgetSandbox } from "@xenoservers/guests";
import type { InputEntry } from "@xenoservers/protocol/channel";
import { type ParsedJob, type Wanted, finishJob } from "@xenoservers/sdk";
import { createWasmDriver, type GuestEnding, type RunningGuest } from "@xenoservers/xenoserver";
import { exitCodeFor, writeHere } from "../output/deliver.ts";
import { encodedStreams } from "../output/encoded.ts";
import { endingSays } from "../output/lease-lines.ts";
import { printJson, say, showRaw } from "../output/terminal.ts";
import { takeRoom } from "./ahead.ts";
import { LOCAL, modulesIn } from "./local-module.ts";

/** What a shell says of a program that one of these ended (bash(1), EXIT STATUS). */
const SIGNALLED = { SIGINT: 130, SIGTERM: 143 } as const;
type Signalled = keyof typeof SIGNALLED;

/** As a server would call it: only time ends a guest from outside here, and whoever waits for it. */
function reasonOf(end: GuestEnding, signalled: Signalled | null): EndReason {
  if (end.kind !== "result") return "server-failed";
  if (end.reason !== "stopped") return end.reason;
  return signalled === null ? "time-limit" : "customer-stop";
}

/** Of one that a signal to this program stops. */
async function endOf(guest: RunningGuest): Promise<{ end: GuestEnding; signalled: Signalled | null }> {
  let signalled: Signalled | null = null;
  const stop = (signal: NodeJS.Signals): void => {
    signalled = signal === "SIGTERM" ? signal : "SIGINT";
    void guest.stop(0);
  };
  for (const signal of Object.keys(SIGNALLED)) process.on(signal, stop);
  const end = await guest.ended;
  for (const signal of Object.keys(SIGNALLED)) process.removeListener(signal, stop);
  return { end, signalled };
}

export async function runLocally(parsed: ParsedJob, wanted: Wanted, out: string | null, json: boolean): Promise<number> {
  const { folder, cache, sandboxes, workers, remove } = await takeRoom();
  let driver: Awaited<ReturnType<typeof createWasmDriver>> | null = null;
  let left: RunningGuest | null = null;
  try {
    const job = finishJob(parsed, ENGINE_VERSION);
    driver = await createWasmDriver({
      folder,
      cache,
      sandboxes,
      workers,
      modules: modulesIn(cache),
      poolSize: 0,
      inUse: [],
      endWithUs: true,
    });
    const bring = async (digest: string): Promise<void> => {
      const blob = job.blobs.get(digest)!;
      await writeFile(path.join(folder, digest), await blob.read(0, blob.size));
    };
    const { module } = job.spec;
    for (const digest of job.blobs.keys()) if (digest !== module) await bring(digest);
    const prepared = await driver.prepare({
      lease: LOCAL,
      customer: LOCAL,
      spec: job.spec,
      inputs: job.inputs,
      vcpu: 1,
      fuelMax: BigInt(job.spec.fuelMax),
      runMsMax: wanted.durationMsMax,
      breakpoints: null,
      unjudged: true,
      keepsCode: true,
      blobFile: (digest) => path.join(folder, digest),
      bringModule: () => bring(module),
    });
    const guest = (left = await prepared.begin());
    const read = { stdout: 0, stderr: 0 };
    const output = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
    const pump = async (): Promise<void> => {
      for (const stream of ["stdout", "stderr"] as const) {
        for (
          let bytes = await guest.readStream(stream, read[stream]);
          bytes.length > 0;
          bytes = await guest.readStream(stream, read[stream])
        ) {
          read[stream] += bytes.length;
          if (json) output[stream].push(bytes);
          else showRaw(stream, bytes);
        }
      }
    };
    let turn = Promise.resolve();
    guest.onChange(() => (turn = turn.then(pump)));
    const { end, signalled } = await endOf(guest);
    await turn.then(pump);
    const tree: InputEntry[] = end.kind === "result" ? end.tree : [];
    await writeHere(tree, (entry) => guest.readOutput(entry.digest, 0, entry.size), out, parsed.shared);
    const reason = reasonOf(end, signalled);
    if (reason === "server-failed") await forgetSandbox(sandboxes);
    const exitCode = end.kind === "result" ? end.exitCode : null;
    if (json) printJson({ local: true, end: { reason, exitCode, detail: end.detail }, ...encodedStreams(output) });
    else if (reason !== "completed") say(`ended: ${[endingSays(reason), end.detail].filter(Boolean).join(": ")}`);
    else if (end.detail !== "") say(`ended: trap ${end.detail}`);
    return reason === "customer-stop" && signalled !== null ? SIGNALLED[signalled] : exitCodeFor({ reason, exitCode });
  } finally {
    await left?.dispose();
    await (driver?.close() ?? workers?.pool.close());
    await remove();
  }
}
