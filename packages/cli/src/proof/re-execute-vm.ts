/**
 * A deterministic machine run again here, by the same QEMU: what an honest server must have signed. Who controls the inputs: the
 * customer, whose job it is.
 */
import { createHash } from "node:crypto";
import path from "node:path";
import { openQemuHost } from "@xenoservers/guests";
import { canonicalBytes, toHex, vmJobHashOf } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import type { OwnRun } from "@xenoservers/verify";
import { createVmDriver, handedBack } from "@xenoservers/xenoserver";
import { type KeptVm, home } from "@xenoservers/sdk";
import { UserError } from "../output/ui.ts";
import { scratch } from "../local/scratch.ts";

const MEMORY_EXTRA_MIB = 512;

export async function reExecuteVm(
  { spec, inputs, blobFile }: KeptVm & { blobFile(digest: string): string },
  stopped: boolean,
): Promise<OwnRun> {
  if (stopped) throw new UserError("the machine was stopped from outside: where it stood then cannot be found again");
  const state = await openQemuHost(path.join(home.data, "prepared"));
  if (!state.ok) throw new UserError(`a machine cannot be run again here: ${state.why}`);
  if (state.host.engine !== spec.engine)
    throw new UserError(`the machine ran on ${spec.engine}, this computer has ${state.host.engine}: install the same QEMU`);
  const { folder, remove } = await scratch("again");
  const egress = { ports: [], allow: [], bytesPerSecondMax: 1, gibPerMonth: 0 };
  const driver = await createVmDriver({
    ...{
      host: state.host,
      folder,
      inUse: [],
      egress,
      fetchImages: false,
      imageCacheGib: 8,
      diskIops: 2_000,
      snapshots: 0,
      customerSnapshotsGib: 0,
      customerSnapshotsHours: 1,
    },
    log: () => {},
  });
  try {
    const customer = `p_${"0".repeat(40)}`;
    const job = {
      lease: toHex(nodeCrypto.randomBytes(32)),
      customer,
      spec,
      inputs,
      memoryMib: spec.memoryMib + MEMORY_EXTRA_MIB,
      deterministic: true,
    };
    const prepared = await driver.prepare({ ...job, egressMibMax: 0, egressBytesUsed: () => 0, fuelMax: BigInt(spec.fuelMax), blobFile });
    const guest = await prepared.begin();
    const end = await guest.ended;
    if (end.kind === "host-failure") throw new Error(`this machine could not run it: ${end.detail}`);
    const hash = createHash("sha256");
    let size = 0;
    for (let bytes = await guest.readStream("stdout", 0); bytes.length > 0; bytes = await guest.readStream("stdout", size)) {
      hash.update(bytes);
      size += bytes.length;
    }
    await guest.dispose();
    const back = handedBack(end, { stdoutSize: size, stderrSize: 0 });
    return {
      ...{
        jobHash: vmJobHashOf(nodeCrypto, spec),
        engine: spec.engine,
        reason: back.reason,
        exitCode: back.reason === "completed" ? back.exitCode : null,
        fuel: end.fuel,
        memoryHash: end.memoryHash,
      },
      outputDigest: toHex(nodeCrypto.sha256(canonicalBytes(back.tree))),
      stdoutDigest: hash.digest("hex"),
      stderrDigest: createHash("sha256").digest("hex"),
    };
  } finally {
    await driver.close();
    await remove();
  }
}
