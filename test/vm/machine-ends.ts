/** A driver of real machines without a market around it: what becomes of a job, from `prepare` to its end. */
import { createHash } from "node:crypto";
import { copyFile, mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { openQemuHost } from "@xenoservers/guests";
import { canonicalBytes, toHex, type VmSpec } from "@xenoservers/protocol";
import type { InputTree } from "@xenoservers/protocol/channel";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { createVmDriver, type VmDriver, type VmJob } from "@xenoservers/xenoserver";
import type { GuestControls, GuestEnding } from "../../packages/xenoserver/src/drivers/driver.ts";
import { RefusedWork } from "../../packages/xenoserver/src/drivers/refused.ts";
import { until } from "../process/market.ts";
import { run } from "./support.ts";

const NONE = "0".repeat(64);
const OVERHEAD_MIB = 256;

export type Came =
  /** Nothing ran. */
  | { refused: RefusedWork["reason"]; words: string }
  | { failed: string }
  | { ended: GuestEnding; stdout: string; stderr: string; files: Record<string, string> };

interface Meanwhile {
  stdout(): Promise<string>;
  /** Waits until it has said that much. */
  says(text: string): Promise<void>;
  stop(withinMs?: number): Promise<void>;
  pause(): Promise<void>;
  resume(): Promise<void>;
  onStall(told: (why: string | null) => void): void;
  controls: GuestControls;
}

export interface Wanted extends Partial<VmSpec> {
  vm: VmSpec["vm"];
  tree?: InputTree;
  /** Calls it off. */
  signal?: AbortSignal;
  /** What is done once it runs. */
  meanwhile?(guest: Meanwhile): Promise<void>;
}

export interface EndsBench {
  vms: VmDriver;
  folder: string;
  /** Makes a file's bytes known by its digest. */
  blob(file: string): Promise<string>;
  /** A layer of what a script leaves in a folder. */
  layer(script: string, pack?: string): Promise<string>;
  /** An image of these layers, bottom first. */
  image(layers: readonly string[], args: readonly string[], over?: Partial<Extract<VmSpec["vm"], { kind: "oci" }>>): VmSpec["vm"];
  run(wanted: Wanted): Promise<Came>;
  close(): Promise<void>;
}

/** BusyBox with its names, as a layer's root. */
export const BUSYBOX =
  "mkdir -p bin etc tmp; cp /bin/busybox bin; for n in $(bin/busybox --list | grep -vx busybox); do ln -s busybox bin/$n; done; echo root:x:0:0::/root:/bin/sh > etc/passwd";

/** `vmFolder`: where machines lie, in place of a folder of the bench's own. */
export async function openEnds({ vmFolder, ...over }: { vmFolder?: string; fullDiskMsMax?: number } = {}): Promise<EndsBench> {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-ends-"));
  const state = await openQemuHost(path.join(folder, "cache"));
  if (!state.ok) throw new Error(state.why);
  const vms = await createVmDriver({
    host: state.host,
    folder: vmFolder ?? path.join(folder, "vm"),
    egress: { ports: [], allow: [], bytesPerSecondMax: 1, gibPerMonth: 0 },
    ...{
      fetchImages: false,
      imageCacheGib: 2,
      diskIops: 5_000,
      inUse: [],
      snapshots: 0,
      customerSnapshotsGib: 1,
      customerSnapshotsHours: 1,
    },
    log: () => {},
    ...over,
  });
  const blobs = path.join(folder, "blobs");
  await mkdir(blobs);
  let last = 0;
  const blob = async (file: string): Promise<string> => {
    const digest = createHash("sha256")
      .update(await readFile(file))
      .digest("hex");
    await copyFile(file, path.join(blobs, digest));
    return digest;
  };
  const jobOf = ({ tree, signal, meanwhile: _, ...over }: Wanted): VmJob => {
    const inputs = tree ?? { entries: [], mounts: [] };
    const spec: VmSpec = {
      ...{ machine: "pc", firmware: "bios", devices: "virtio", tpm: false, vcpu: 1, memoryMib: 192, diskMib: 64, outputMibMax: 4 },
      ...{ network: false, egress: "none", engine: null, fuelMax: "1", seed: NONE, clockBaseMs: 0 },
      inputs: toHex(nodeCrypto.sha256(canonicalBytes(JSON.parse(JSON.stringify(inputs))))),
      ...over,
    };
    return {
      ...{ lease: (++last).toString(16).padStart(8, "0") + "e".repeat(56), customer: `p_${"1".repeat(40)}`, spec, inputs },
      ...{
        memoryMib: spec.memoryMib + OVERHEAD_MIB,
        deterministic: false,
        egressMibMax: 0,
        egressBytesUsed: () => 0,
        fuelMax: 1n,
        forgets: false,
      },
      blobFile: (digest) => path.join(blobs, digest),
      ...(signal ? { signal } : {}),
    };
  };
  return {
    ...{ vms, folder, blob },
    async layer(script, pack = "tar -cf ../out.tar .") {
      const at = await mkdtemp(path.join(folder, "layer-"));
      await mkdir(path.join(at, "root"));
      await run("bash", ["-euc", `${script}\n${pack}`], { cwd: path.join(at, "root") });
      const digest = await blob(path.join(at, "out.tar"));
      await rm(at, { recursive: true });
      return digest;
    },
    image: (layers, args, over = {}) => ({
      ...{ kind: "oci", image: NONE, layers: layers.map((digest) => ({ digest, compression: "none" })), args: [...args] },
      ...{ env: [], workdir: "", user: "", hostname: "", ...over },
    }),
    async run(wanted) {
      const prepared = await vms.prepare(jobOf(wanted)).catch((error: unknown) => error);
      if (prepared instanceof RefusedWork) return { refused: prepared.reason, words: prepared.message };
      if (prepared instanceof Error) return { failed: String(prepared.stack) };
      const guest = await (prepared as Awaited<ReturnType<VmDriver["prepare"]>>).begin();
      const textOf = async (stream: "stdout" | "stderr"): Promise<string> => {
        const parts: Buffer[] = [];
        for (let at = 0, bytes = await guest.readStream(stream, 0); bytes.length > 0; bytes = await guest.readStream(stream, at)) {
          parts.push(Buffer.from(bytes));
          at += bytes.length;
        }
        return Buffer.concat(parts).toString();
      };
      const { controls } = guest;
      if (!controls) throw new Error("a machine can be asked for more than its output");
      const stdout = (): Promise<string> => textOf("stdout");
      const says = (text: string): Promise<void> => until(async () => (await stdout()).includes(text));
      const { pause, resume } = guest;
      const onStall = (told: (why: string | null) => void): void => guest.onStall?.(told);
      await wanted.meanwhile?.({ stdout, says, controls, pause, resume, onStall, stop: (withinMs = 0) => guest.stop(withinMs) });
      const ended = await guest.ended;
      const files: Record<string, string> = {};
      for (const entry of ended.kind === "result" ? ended.tree : [])
        if (entry.kind === "file")
          files[entry.path] = Buffer.from(await guest.readOutput(entry.digest, 0, Math.min(entry.size, 1_000))).toString();
      const came = { ended, stdout: await textOf("stdout"), stderr: await textOf("stderr"), files };
      await guest.dispose();
      return came;
    },
    async close() {
      await vms.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
