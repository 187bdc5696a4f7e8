/**
 * A lease's machine from its first instruction to its end: of an OCI guest the job is handed over and taken back, of a deterministic one memory and
 * instructions are read. Who controls the inputs: the guest, and QEMU, which is taken to be the guest's.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { PassThrough } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { InputEntry, InputTree } from "@xenoservers/protocol/channel";
import { pack } from "tar-stream";
import { readGuestFile } from "../../guest.ts";
import { JobPort, type OciEnd } from "../oci/job-port.ts";
import { HELD, type Laid, type MachineJob } from "./layout.ts";
import { VM_FILES } from "./plan.ts";
import { instructionsOf, saveState } from "./state.ts";
import { takeSnapshot } from "../snapshots/snapshot.ts";
import type { Template, Templates } from "../snapshots/templates.ts";
import { boxPath, readVmStream, type Vm, type VmEnd, type VmStream } from "./vm.ts";

const MIB = 1024 * 1024;
const JOB_PORT_MS = 20_000;

export type MachineEnd =
  | { kind: "job"; exitCode: number; tree: InputEntry[] }
  | { kind: "deterministic"; instructions: bigint; memoryHash: string }
  | Exclude<VmEnd, { kind: "crashed" }>
  | { kind: "crashed"; detail: string }
  /** Not there any more when a daemon looked for it: its host failed it. */
  | { kind: "gone"; detail: string };

/** What finds the machine again. */
export interface MachineToken {
  folder: string;
  pid: number;
  startTicks: string;
  kind: "oci" | "deterministic" | "other";
  outputMibMax: number;
  diskMib: number;
  uid: number;
  /** What lies under its disk; empty where it has none. */
  base: string;
  baseFormat: string;
  cgroup: string;
  cgroupKind: string;
  ociToken: string;
  [key: string]: string | number;
}

/** Inputs as an archive, laid out as they lie below the guest's root. */
function tarOf({ entries, mounts }: InputTree, blobFile: (digest: string) => string): PassThrough {
  const out = new PassThrough();
  const writer = pack();
  pipeline(writer, out).catch(() => {}); // whoever reads it sees the error
  void (async () => {
    const made = new Set<string>();
    const folder = (name: string): void => {
      const parts = name.split("/");
      for (let i = 1; i <= parts.length; i++) {
        const at = parts.slice(0, i).join("/");
        if (!made.has(at)) writer.entry({ name: at, type: "directory", mode: 0o755 });
        made.add(at);
      }
    };
    for (const { path: mount } of mounts) folder(mount.slice(1));
    for (const entry of entries) {
      const parent = entry.path.split("/").slice(0, -1).join("/");
      if (parent !== "") folder(parent);
      if (entry.kind === "directory") folder(entry.path);
      else if (entry.kind === "link") writer.entry({ name: entry.path, type: "symlink", linkname: entry.target });
      else {
        const target = writer.entry({ name: entry.path, size: entry.size, mode: 0o755 });
        target.on("error", () => {}); // the archive's own error says it
        for await (const part of createReadStream(blobFile(entry.digest)))
          if (!target.write(part)) await new Promise((resolve) => target.once("drain", resolve));
        target.end();
      }
    }
    writer.finalize();
  })().catch((error: Error) => out.destroy(error));
  return out;
}

interface Given {
  job: MachineJob;
  /** Null where an earlier daemon began it. */
  begunAs: { template: Template | null; templates: Templates | null; laid: Laid } | null;
}

/** How far a machine has come, for a daemon that finds it: begun, its init ready, its job given. */
const PROGRESS = ["prepared", "begun", "ready", "given"] as const;
type Progress = (typeof PROGRESS)[number];

export class Machine {
  readonly token: MachineToken;
  readonly ended: Promise<MachineEnd>;
  readonly vm: Vm | null;
  readonly #given: Given;
  #finish!: (end: MachineEnd) => void;
  #port: JobPort | null = null;
  #released = false;

  constructor(vm: Vm | null, token: MachineToken, given: Given) {
    this.vm = vm;
    this.token = token;
    this.#given = given;
    this.ended = new Promise((resolve) => (this.#finish = resolve));
    if (!vm) {
      void this.#earlierEnd()
        .catch((error: Error) => ({ kind: "gone" as const, detail: `how the machine ended cannot be read: ${error.message}` }))
        .then((end) => this.#finish(end));
      return;
    }
    void vm.ended.then((end) => this.#vmEnded(end)).catch((error: Error) => this.#finish({ kind: "crashed", detail: error.message }));
  }

  async #progress(): Promise<Progress> {
    const text = await readFile(path.join(this.token.folder, "progress"), "utf8").catch(() => "prepared");
    return PROGRESS.find((each) => each === text) ?? "prepared";
  }

  #came(to: Progress): Promise<void> {
    return writeFile(path.join(this.token.folder, "progress"), to, { mode: 0o600 });
  }

  get #out(): string {
    return path.join(this.token.folder, "out");
  }

  get #endFile(): string {
    return path.join(this.token.folder, "end.json");
  }

  /** It ended while no daemon lived, or was told before. */
  async #earlierEnd(): Promise<MachineEnd> {
    const text = await readFile(this.#endFile, "utf8").catch(() => null);
    if (text === null) return { kind: "gone", detail: "the machine is gone: its host was restarted, or somebody ended it while no daemon ran" };
    const end = JSON.parse(text) as OciEnd & { kind?: string; instructions?: string; memoryHash?: string };
    if (end.kind === "deterministic") return { kind: "deterministic", instructions: BigInt(end.instructions!), memoryHash: end.memoryHash! };
    return { kind: "job", exitCode: end.exitCode, tree: end.tree };
  }

  async begin(): Promise<void> {
    const { job, begunAs } = this.#given;
    const goesOn = this.token.kind === "oci" && (job.from !== null || job.spec.vm.kind === "snapshot"); // or a later daemon begins it
    await this.#came(goesOn ? "given" : begunAs?.template ? "ready" : "begun");
    if (goesOn) {
      this.#port = await this.#openPort();
      this.#port.renew();
    }
    await this.vm!.begin();
    this.#startJob();
  }

  /** Takes it up where an earlier daemon left it. */
  async goOn(): Promise<void> {
    if (!this.vm) return;
    if ((await this.#progress()) === "prepared") return this.begin();
    this.#startJob();
  }

  #startJob(): void {
    if (this.token.kind === "oci") void this.#runJob().catch((error: Error) => this.#finish({ kind: "crashed", detail: error.message }));
  }

  async #openPort(): Promise<JobPort> {
    for (const deadline = Date.now() + JOB_PORT_MS; ;) {
      const port = this.#released ? null : await JobPort.open(boxPath(this.token.folder, VM_FILES.job)).catch(() => null);
      if (port && this.#released) port.close(); // another has it now
      if (this.#released) return new Promise<never>(() => {});
      if (port) return port;
      if (Date.now() > deadline) throw new Error("the guest's job port does not open");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async #runJob(): Promise<void> {
    const { job } = this.#given;
    const { vm } = job.spec;
    const port = (this.#port ??= await this.#openPort());
    const progress = await this.#progress();
    if (progress === "given") port.ask();
    else if (vm.kind === "oci") {
      if (progress !== "ready" && !(await port.ready())) return; // the machine's own end says why
      await this.#came("ready");
      const keep = job.inputs.mounts.filter((mount) => mount.keep).map((mount) => mount.path);
      const tar = (): PassThrough => tarOf(job.inputs, job.blobFile);
      let bytes = 0;
      for await (const part of tar()) bytes += (part as Buffer).length;
      await this.#came("given");
      await port.give({ ...vm, hostname: vm.hostname === "" ? "xeno" : vm.hostname, keep }, this.token.ociToken, tar(), bytes);
    }
    await this.#takeEnd(port);
  }

  async #takeEnd(port: JobPort): Promise<void> {
    const end = await port.end(this.token.ociToken, this.#out, this.token.diskMib * MIB);
    if (end === null) return;
    await writeFile(this.#endFile, JSON.stringify(end), { mode: 0o600 });
    port.thank();
    this.#finish({ kind: "job", ...end });
    const { begunAs } = this.#given;
    const templates = begunAs && !begunAs.template ? begunAs.templates : null; // the first of its kind: the next starts from a snapshot
    await this.#letGo({ images: templates === null });
    if (!templates) return;
    await templates.build(begunAs!.laid.templateKey, { ...begunAs!.laid, kvm: begunAs!.laid.plan.accel === "kvm" });
    await this.#remove(HELD);
  }

  async #vmEnded(end: VmEnd): Promise<void> {
    const vm = this.vm!;
    if (this.#released) return;
    if (end.kind === "shutdown" && this.token.kind === "deterministic") {
      const memory = createHash("sha256");
      for await (const part of createReadStream(boxPath(this.token.folder, VM_FILES.memory))) memory.update(part as Buffer);
      const instructions = instructionsOf(await saveState(vm));
      const done = { kind: "deterministic" as const, instructions, memoryHash: memory.digest("hex") };
      await writeFile(this.#endFile, JSON.stringify({ ...done, instructions: instructions.toString() }), { mode: 0o600 });
      await this.#letGo();
      return this.#finish(done);
    }
    if (end.kind === "shutdown" && this.token.kind === "oci") {
      // between the guest's thanks and its power-off the job's end is on its way; a guest that powers itself down has no exit code
      const told = await Promise.race([this.ended, new Promise<null>((resolve) => setTimeout(() => resolve(null), 500))]);
      if (told) return;
      await this.#letGo();
      return this.#finish({ kind: "crashed", detail: await this.#lastConsole() });
    }
    await this.#letGo();
    this.#finish(end);
  }

  /** What the guest said last, where it gave up by itself. */
  async #lastConsole(): Promise<string> {
    const size = (await stat(boxPath(this.token.folder, VM_FILES.consoleLog)).catch(() => ({ size: 0 }))).size;
    const text = Buffer.from((await this.vm?.read("console", Math.max(0, size - 2_000))) ?? []).toString("utf8");
    const said = text
      .split("\n")
      .filter((line) => line.includes("xeno-init:"))
      .at(-1);
    return said?.trim() ?? "the guest powered down before its job ended";
  }

  /** The guest stands still meanwhile. Throws where it has ended. */
  async snapshot(folder: string): Promise<void> {
    if (!this.vm) throw new Error("the machine has ended");
    if (this.token.kind === "oci" && (await this.#progress()) !== "given") throw new Error("the image's job has not begun yet");
    const { base, baseFormat } = this.token;
    await takeSnapshot(this.vm, folder, base === "" ? null : { file: base, format: baseFormat as "raw" });
  }

  /** The process, and what was sold for the time it ran: disk and memory. What it printed and handed back stays. */
  async #letGo({ images }: { images: boolean } = { images: true }): Promise<void> {
    await this.vm!.quit();
    for (const name of [`box/${VM_FILES.disk}`, `box/${VM_FILES.memory}`, "base.qcow2", ...(images ? [HELD] : [])]) await this.#remove(name);
  }

  #remove(name: string): Promise<void> {
    return rm(path.join(this.token.folder, name), { recursive: true, force: true });
  }

  read(stream: VmStream, offset: number): Promise<Uint8Array> {
    return readVmStream(this.token.folder, stream, offset);
  }

  readOutput(digest: string, offset: number, length: number): Promise<Uint8Array> {
    return readGuestFile(path.join(this.#out, digest), offset, length);
  }

  async stop(): Promise<void> {
    await this.vm?.stop(this.token.kind === "other");
  }

  release(): void {
    this.#released = true;
    this.#port?.close();
    this.vm?.release();
  }

  async dispose(): Promise<void> {
    await this.vm?.quit();
    await rm(this.token.folder, { recursive: true, force: true });
  }
}
