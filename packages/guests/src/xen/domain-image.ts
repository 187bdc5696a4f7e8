/**
 * An OCI image's job as a domain's disks, and its answer as it lies on one of them afterwards (init/domain.pl says how). Who controls the
 * inputs: the customer (image, job, inputs); the guest, every byte of the answer.
 */
import { createReadStream } from "node:fs";
import { chmod, open, readdir, truncate, writeFile } from "node:fs/promises";
import path from "node:path";
import { run } from "../programs/start.ts";
import { filesOnDisk, processOf, type VmSpec } from "@xenoservers/protocol";
import type { InputTree } from "@xenoservers/protocol/channel";
import { readGuestFile } from "../guest-files.ts";
import { cacheFor, type Cache } from "../qemu/images/cache.ts";
import { blankFormatted } from "../qemu/images/disks.ts";
import type { Stock } from "../qemu/images/stock.ts";
import type { MachineEnd } from "../qemu/machine/machine-end.ts";
import { ENTRIES_MAX, TEXT_BYTES_MAX } from "../qemu/oci/image-bounds.ts";
import { imageDisks } from "../qemu/oci/image-disks.ts";
import { tarOf } from "../qemu/oci/input-tar.ts";
import { givenHead, readAnswer } from "../qemu/oci/job-port.ts";
import { PortReader } from "../qemu/oci/port-reader.ts";
import { TooMuch } from "../qemu/oci/returned-tree.ts";
import { held, type DiskFile } from "./domain-disk.ts";
import type { DomainStreams } from "./domain-streams.ts";
import type { ShutdownReason } from "./listing.ts";

const MIB = 1024 * 1024;
const BLOCK_BYTES = 512;
const COPY_MS = 30 * 60_000;
/** Beside the files that it hands back, what an archive takes. */
const ANSWER_EXTRA_BYTES = 64 * MIB;
/** As container engines give it: about half of what a domain has that was asked to end; the rest is for handing back what it left. */
const GRACE_MS_MAX = 10_000;
/** As of a container's first process where the job powers its machine off or starts it again (reboot(2): SIGINT, SIGHUP). */
const POWER_OFF_CODE = 130;
const RESET_CODE = 129;
/** As container engines say that a container could not be started. */
const NOT_STARTED_CODE = 125;

const [JOB, ANSWER] = ["job.raw", "answer.raw"] as const;
const layerName = (index: number): string => `layer${index}.sqfs`;

interface ImageJob {
  customer: string;
  forgets?: boolean;
  spec: VmSpec;
  inputs: InputTree;
  token: string;
  folder: string;
  /** Of its own disk. */
  file: string;
  blobFile(digest: string): string;
  signal?: AbortSignal | undefined;
}

async function writeJob({ spec: { vm }, inputs, token, folder, blobFile }: ImageJob & { spec: VmSpec }): Promise<void> {
  if (vm.kind !== "oci") throw new Error("this domain runs no image");
  let tarBytes = 0;
  for await (const part of tarOf(inputs, blobFile)) tarBytes += Buffer.byteLength(part);
  const process = processOf(vm);
  const head = givenHead({ ...vm, hostname: vm.hostname === "" ? "xeno" : vm.hostname, process, mounts: inputs.mounts }, token, tarBytes);
  const said = Buffer.alloc(BLOCK_BYTES);
  said.write(`xeno-job ${process.stopSignal} ${Math.min(process.stopGraceMs, GRACE_MS_MAX)} ${head.length + tarBytes}\n`);
  const out = await open(path.join(folder, JOB), "wx", 0o600);
  try {
    await out.writeFile(Buffer.concat([said, head]));
    for await (const part of tarOf(inputs, blobFile)) await out.writeFile(part);
    await out.truncate(Math.ceil((await out.stat()).size / BLOCK_BYTES) * BLOCK_BYTES);
  } finally {
    await out.close();
  }
}

/** All disks of the domain in its folder. Throws Refusal where the image is at fault, or what was ordered too small for it. */
export async function layOutImage(job: ImageJob, stock: Stock, cache: Cache): Promise<void> {
  const { spec, folder, file, blobFile, signal } = job;
  const { vm, diskMib } = spec;
  if (vm.kind !== "oci") throw new Error("this domain runs no image");
  let count = 0;
  const image = {
    layers: vm.layers.map(({ digest }) => ({ digest, file: blobFile(digest) })),
    ...{ bytesMax: diskMib * MIB, entriesMax: Math.min(filesOnDisk(diskMib), ENTRIES_MAX), textBytesMax: TEXT_BYTES_MAX },
    ...{ work: path.join(folder, "layers"), ...(signal ? { signal } : {}) },
    take: async (disk: string) => void (await held(disk, path.join(folder, layerName(count++)))),
  };
  const own = cacheFor(cache, job);
  await imageDisks(image, own);
  const bounds = { timeout: COPY_MS, killSignal: "SIGKILL", ...(signal ? { signal } : {}) } as const;
  await run("cp", ["--reflink=auto", "--sparse=always", "--", await blankFormatted(own, diskMib), file], bounds);
  await chmod(file, 0o600);
  await writeJob(job);
  await writeFile(path.join(folder, ANSWER), "", { flag: "wx", mode: 0o600 });
  await truncate(path.join(folder, ANSWER), BLOCK_BYTES + diskMib * MIB + ANSWER_EXTRA_BYTES);
  await held(stock.initrd, path.join(folder, "ramdisk"));
}

/** Beside its own disk, in the order in which its init looks for them. */
export async function disksOfImage(folder: string): Promise<DiskFile[]> {
  const count = (await readdir(folder)).filter((name) => /^layer\d+\.sqfs$/.test(name)).length;
  const at = (name: string, isWritable: boolean): DiskFile => ({ file: path.join(folder, name), isWritable });
  return [at(JOB, false), at(ANSWER, true), ...Array.from({ length: count }, (_, index) => at(layerName(index), false))];
}

/** `disks`: how many there are in all. Of its kernel only a panic is printed, for what its program prints comes the same way. */
export const commandLineOfImage = (disks: number): string => `console=hvc0 loglevel=0 panic=-1 random.trust_cpu=on xeno.disks=${disks}`;

interface Ended {
  folder: string;
  token: string;
  diskMib: number;
  stopped: boolean;
  streams: DomainStreams;
}

type Job = Extract<MachineEnd, { kind: "job" }>;

const jobEnd = (exitCode: number, detail: string, stopped: boolean): Job => ({ kind: "job", exitCode, tree: [], detail, stopped });

/** How the job of a domain ended that was shut down by itself; its files are in the folder `out`. */
export async function endOfImage(
  reason: ShutdownReason,
  { folder, token, diskMib, stopped, streams }: Ended,
): Promise<Job | Extract<MachineEnd, { kind: "output-limit" | "crashed" }>> {
  const said = /^xeno-answer (whole|more|failed|refused) (\d{1,15})\n/.exec(
    Buffer.from(await readGuestFile(folder, ANSWER, 0, BLOCK_BYTES)).toString("latin1"),
  );
  if (said === null) {
    const complaint = await streams.complaint();
    if (complaint !== null) return { kind: "crashed", detail: complaint };
    return jobEnd(reason === "reboot" ? RESET_CODE : POWER_OFF_CODE, "the job ended its machine by itself", stopped);
  }
  const bytesMax = diskMib * MIB + ANSWER_EXTRA_BYTES;
  if (said[1] === "more") return { kind: "output-limit", detail: "the job hands back more than its disk holds" };
  // its host's disk did that, or the guest says so: nobody can tell
  if (said[1] === "failed") return { kind: "crashed", detail: "what the job left could not be written on its disk" };
  if (said[1] === "refused") {
    const words = Buffer.from(await readGuestFile(folder, ANSWER, BLOCK_BYTES, Math.min(BLOCK_BYTES, Number(said[2])))).toString("latin1");
    return jobEnd(NOT_STARTED_CODE, words.trim().split(" ").slice(2).join(" "), stopped);
  }
  const stream = createReadStream(path.join(folder, ANSWER), {
    start: BLOCK_BYTES,
    end: BLOCK_BYTES + Math.min(bytesMax, Number(said[2])) - 1,
  });
  try {
    const end = await readAnswer(new PortReader(stream), { token, folder: path.join(folder, "out"), bytesMax });
    return end ? { kind: "job", ...end, stopped } : jobEnd(POWER_OFF_CODE, "the job left no answer", stopped);
  } catch (error) {
    if (error instanceof TooMuch) return { kind: "output-limit", detail: error.message };
    throw error;
  } finally {
    stream.destroy();
  }
}
