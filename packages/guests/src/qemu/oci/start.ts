/**
 * An OCI guest up to where its job can begin: booted, its inputs laid out, everything that was asked for found to be possible. Nothing of
 * the image has run until then, so what the guest says is its init's word. Who controls the inputs: the customer (job, inputs); the guest
 * is the host's own here.
 */
import { processOf } from "@xenoservers/protocol";
import type { MachineJob } from "../machine/layout.ts";
import { VM_FILES } from "../machine/plan.ts";
import { boxPath, type Vm } from "../machine/vm.ts";
import { Refusal } from "../refusal.ts";
import { tarOf } from "./input-tar.ts";
import { JobPort } from "./job-port.ts";

/** An emulated guest on a busy host takes most of a minute. */
const READY_MS = 5 * 60_000;
/** Disks are slowed down to what their owner gives each, which is more than this. */
const INPUT_BYTES_PER_MS = 500;
const CONSOLE_BYTES = 2_000;

/** What the init said last. */
async function lastWords(vm: Vm): Promise<string> {
  const size = await vm.size("console");
  const lines = Buffer.from(await vm.read("console", Math.max(0, size - CONSOLE_BYTES)))
    .toString("utf8")
    .split("\n");
  return lines.findLast((line) => line.includes("xeno-init:"))?.trim() ?? "the guest ended before its job began";
}

/**
 * What a step comes to. Throws Refusal where the machine ends before, or it takes longer than any does: whose doing that is cannot be
 * told.
 */
async function reached<T>(vm: Vm, step: Promise<T | null>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => (timer = setTimeout(() => resolve(null), ms)));
  try {
    const found = await Promise.race([step, vm.ended.then(() => null), late]);
    if (found !== null) return found;
  } finally {
    clearTimeout(timer);
  }
  throw new Refusal("untold", await lastWords(vm));
}

async function begunWith(vm: Vm, port: JobPort, job: MachineJob, token: string, isReady: boolean): Promise<void> {
  const { spec, inputs, blobFile } = job;
  if (spec.vm.kind !== "oci") throw new Error("this machine runs no image");
  if (!isReady) await reached(vm, port.ready(), READY_MS);
  let bytes = 0;
  for await (const part of tarOf(inputs, blobFile)) bytes += Buffer.byteLength(part);
  const { hostname } = spec.vm;
  const given = port.give(
    { ...spec.vm, hostname: hostname === "" ? "xeno" : hostname, process: processOf(spec.vm), mounts: inputs.mounts },
    token,
    tarOf(inputs, blobFile),
    bytes,
  );
  const answered = given.then(() => port.answer());
  answered.catch(() => {}); // waited for with the machine's end
  const answer = await reached(vm, answered, READY_MS + bytes / INPUT_BYTES_PER_MS);
  if (answer.kind === "refused") throw new Refusal(answer.fault, answer.words);
}

/** Where the job waits for its word to begin (`port.go`). `isReady`: it was started from a snapshot of a guest that waits for its job. */
export async function startOci(vm: Vm, job: MachineJob, token: string, isReady: boolean): Promise<JobPort> {
  await vm.begin();
  const port = await JobPort.open(boxPath(vm.folder, VM_FILES.job));
  try {
    await begunWith(vm, port, job, token, isReady);
    return port;
  } catch (error) {
    port.close();
    throw error;
  }
}
