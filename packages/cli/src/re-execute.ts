/**
 * Runs a job again on this machine, in the same sandbox and engine as a xenoserver, and says what it comes to: what an honest server must have
 * signed. Who controls the inputs: the customer, whose job it is.
 */
import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { canonicalBytes, toHex, type Json } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { createWasmDriver } from "@xenoservers/xenoserver";
import type { ReExecuted } from "@xenoservers/verify";
import { home } from "./home.ts";
import type { KeptJob } from "./kept-job.ts";
import { UserError } from "./ui.ts";

/** A re-execution ends by its fuel; this only stops one on a machine that hangs. */
const RUN_MS_MAX = 7 * 86_400_000;

/** `stoppedAt`: the fuel at which the server's run was stopped from outside; null when it came to an end of its own. */
export async function reExecute({ spec, inputs, blobFile }: KeptJob & { blobFile(digest: string): string }, stoppedAt: bigint | null): Promise<ReExecuted> {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-again-"));
  const driver = await createWasmDriver({ folder, cache: path.join(home.data, "prepared"), poolSize: 0, inUse: [] });
  try {
    if (driver.engine !== spec.engine)
      throw new UserError(
        `the job ran on engine ${spec.engine}, this xeno has ${driver.engine}: install the version that the result names (xeno version --all)`,
      );
    const fuelMax = stoppedAt === null ? BigInt(spec.fuelMax) : stoppedAt;
    const prepared = await driver.prepare({ lease: "again", spec, inputs, fuelMax, runMsMax: RUN_MS_MAX, blobFile });
    const guest = await prepared.begin();
    const end = await guest.ended;
    if (end.kind === "host-failure") throw new Error(`this machine could not run it: ${end.detail}`);
    const digestOf = async (stream: "stdout" | "stderr"): Promise<string> => {
      const hash = createHash("sha256");
      let size = 0;
      for (let bytes = await guest.readStream(stream, 0); bytes.length > 0; bytes = await guest.readStream(stream, size)) {
        hash.update(bytes);
        size += bytes.length;
      }
      return hash.digest("hex");
    };
    return {
      engine: spec.engine,
      reason: end.reason,
      exitCode: end.reason === "completed" ? end.exitCode : null,
      fuel: end.fuel,
      memoryHash: end.memoryHash,
      outputDigest: toHex(nodeCrypto.sha256(canonicalBytes(end.tree as unknown as Json))),
      stdoutDigest: await digestOf("stdout"),
      stderrDigest: await digestOf("stderr"),
    };
  } finally {
    await driver.close();
    await rm(folder, { recursive: true, force: true });
  }
}
