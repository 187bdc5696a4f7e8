/**
 * Runs a job again on this machine, in the same sandbox and engine as a xenoserver, and says what it comes to: what an honest server must
 * have signed. Who controls the inputs: the customer, whose job it is.
 */
import { createHash } from "node:crypto";
import path from "node:path";
import { canonicalBytes, endRootOf, jobHashOf, toHex } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { createWasmDriver, handedBack, type GuestEnding, type RunningGuest } from "@xenoservers/xenoserver";
import { type KeptJob, type Trace, home } from "@xenoservers/sdk";
import type { OwnRun } from "@xenoservers/verify";
import { UserError } from "../output/ui.ts";
import { scratch } from "../local/scratch.ts";

/** A re-execution ends by its fuel; this only stops one on a machine that hangs. */
const RUN_MS_MAX = 7 * 86_400_000;
const PIECE_BYTES_MAX = 2 ** 31;

type Again = KeptJob & { blobFile(digest: string): string };

interface Ran {
  guest: RunningGuest;
  end: Extract<GuestEnding, { kind: "result" }>;
  /** Removes what the run left. */
  close(): Promise<void>;
}

/** Runs the job to its end in a folder of its own. */
async function runAgain({ spec, inputs, blobFile }: Again, fuelMax: bigint, step: bigint | null): Promise<Ran> {
  const { folder, remove } = await scratch("again");
  const driver = await createWasmDriver({ folder, cache: path.join(home.data, "prepared"), poolSize: 0, inUse: [], endWithUs: true });
  let left: RunningGuest | null = null;
  const close = async (): Promise<void> => {
    await left?.dispose();
    await driver.close();
    await remove();
  };
  try {
    if (driver.engine !== spec.engine)
      throw new UserError(
        `the job ran on engine ${spec.engine}, this xeno has ${driver.engine}: ` +
          "install the version that the result names (xeno version --all)",
      );
    const breakpoints = step === null ? null : { kind: "trace" as const, step: step.toString() };
    const prepared = await driver.prepare({
      lease: "again",
      customer: "local",
      spec,
      inputs,
      vcpu: 1,
      fuelMax,
      runMsMax: RUN_MS_MAX,
      breakpoints,
      blobFile,
    });
    const guest = (left = await prepared.begin());
    const end = await guest.ended;
    if (end.kind === "host-failure") throw new Error(`this machine could not run it: ${end.detail}`);
    return { guest, end, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function factsOf({ guest, end }: Ran, spec: KeptJob["spec"]): Promise<OwnRun> {
  const digestOf = async (stream: "stdout" | "stderr"): Promise<{ size: number; digest: string }> => {
    const hash = createHash("sha256");
    let size = 0;
    for (let bytes = await guest.readStream(stream, 0); bytes.length > 0; bytes = await guest.readStream(stream, size)) {
      hash.update(bytes);
      size += bytes.length;
    }
    return { size, digest: hash.digest("hex") };
  };
  const [stdout, stderr] = [await digestOf("stdout"), await digestOf("stderr")];
  const back = handedBack(end, { stdoutSize: stdout.size, stderrSize: stderr.size });
  return {
    jobHash: jobHashOf(nodeCrypto, spec),
    engine: spec.engine,
    reason: back.reason,
    exitCode: back.reason === "completed" ? back.exitCode : null,
    fuel: end.fuel,
    memoryHash: end.memoryHash,
    outputDigest: toHex(nodeCrypto.sha256(canonicalBytes(back.tree))),
    stdoutDigest: stdout.digest,
    stderrDigest: stderr.digest,
  };
}

/**
 * `stoppedAt`: the fuel at which the server's run was stopped from outside; null when it came to an end of its own. `step`: with
 * breakpoints so far apart, for verdicts over a segment.
 */
export async function reExecute(job: Again, stoppedAt: bigint | null, step: bigint | null = null): Promise<OwnRun> {
  const ran = await runAgain(job, stoppedAt ?? BigInt(job.spec.fuelMax), step);
  try {
    const facts = await factsOf(ran, job.spec);
    const { roots } = ran.end;
    if (!roots) return facts;
    const all = [...roots, endRootOf(nodeCrypto, facts)];
    return { ...facts, rootAt: (segment) => all[segment - 1] ?? null };
  } finally {
    await ran.close();
  }
}

/** The job's states on this machine, up to so much fuel; null: to its own end. Throws UserError where it has no build with breakpoints. */
export async function traceHere(job: Again, step: bigint, upTo: bigint | null): Promise<Trace> {
  const { guest, end, close } = await runAgain(job, upTo ?? BigInt(job.spec.fuelMax), step);
  if (!end.roots) {
    await close();
    throw new UserError(`the job cannot be traced: ${end.detail}`);
  }
  return { roots: end.roots, read: (digest) => guest.readOutput(digest, 0, PIECE_BYTES_MAX), close };
}
