/**
 * From what a customer asks for to what is wanted of the market, and to the job or machine that is to run: checked before anything is
 * looked for, signed or sent. Who controls the inputs: whoever runs this.
 */
import { forgetting, type BuiltWork } from "../built.ts";
import { InputError } from "../errors.ts";
import type { GivenProgram } from "../facade/given-program.ts";
import { given } from "../given.ts";
import type { Reading } from "../given-bytes.ts";
import type { Quoted, Wanted } from "../order.ts";
import type { Interpreter } from "../program-input.ts";
import { PYTHON, type ProgramKind } from "../runtimes.ts";
import type { Blob, SourceEntry } from "../blob.ts";
import { wantedOf } from "../wanted-of.ts";
import { parseSizeMib } from "../words.ts";
import type { WorkOptions } from "../work-options.ts";
import type { Looking } from "./image-address.ts";
import type { SharedFolder } from "../machine/machine-place.ts";
import { parseVm } from "../machine/machine-job.ts";
import { refuseForImages } from "../machine/process-held.ts";
import { asksForVm, vmOptionsOf, type VmOptions } from "../machine/vm-options.ts";
import type { ModuleCheck } from "../module-check.ts";
import { machineHere } from "./machine-here.ts";
import { finishJob, parseJob, type ParsedJob } from "./program-job.ts";
import { unseenAmong } from "./unseen-files.ts";

/** What a program of this machine has beside the words. */
interface WorkMeans {
  /** In place of a file. */
  program?: GivenProgram;
  /** What its file is, where that is known. */
  kind?: ProgramKind;
  interpreter?: Interpreter;
  /** In /in, beside its folder. */
  files?: readonly SourceEntry[];
  /** What a module reads, asked for when all else is good. */
  stdin(): Promise<Uint8Array>;
  /** Somebody feeds the image's program. */
  feedsImage: boolean;
  check: ModuleCheck;
  /** How a module's or script's file is read; absent: all of it, for its digest. */
  blobOf?: (file: string) => Promise<Blob>;
  looking: Looking;
  /** Who waits while files of this machine are read. */
  reading?: Reading;
}

/** What is to run, of either kind. */
export interface Work {
  wanted: Wanted;
  shared: SharedFolder[];
  says: string[];
  build(offer: Pick<Quoted["offer"], "engine" | "vmEngine">): BuiltWork;
  /** What it prints is a console that can be typed into. */
  showsConsole: boolean;
  /** Its program reads, as it comes, what this side feeds it. */
  isFed: boolean;
  /** Null for a machine. */
  module: ParsedJob | null;
}

async function moduleOf(input: WorkOptions, wanted: Wanted, means: WorkMeans): Promise<ParsedJob> {
  const { file, args, dir, env, maxOutput } = input;
  const { program, kind, interpreter, files, stdin, check, blobOf, reading } = means;
  const what = program ?? file;
  if (what === null) throw new InputError("say what to run: a .wasm module, a .py script, the name of an image, or --vm, --kernel, --iso");
  return parseJob({
    ...{ file: what, args, dir, env, stdin, check, blobOf },
    memoryMib: wanted.resources.memoryMib,
    diskMib: wanted.resources.diskMib,
    outputMib: parseSizeMib(maxOutput, "--max-output"),
    fuelMax: wanted.fuelMax,
    ...(files ? { files } : {}),
    ...given({ kind, interpreter, in: input.in, out: input.out, reading }),
  });
}

/** What says how a machine is made, where there is none. */
function refuseForMachines(options: VmOptions): void {
  const {
    screen,
    uefi,
    tpm,
    windows,
    network,
    machine,
    initrd,
    append,
    format,
    digest,
    entrypoint,
    hostname,
    user,
    sshKey,
    userData,
    egress,
  } = options;
  const asked = Object.entries({
    ...{ "--screen": screen, "--uefi": uefi, "--tpm": tpm, "--windows": windows, "--network": network, "--machine": machine },
    ...{ "--initrd": initrd, "--append": append, "--format": format, "--digest": digest, "--entrypoint": entrypoint },
    ...{ "--hostname": hostname, "--user": user, "--ssh-key": sshKey, "--user-data": userData },
    "--egress": egress === "none" ? undefined : egress,
  });
  const option = asked.find(([, value]) => value !== undefined && value !== false)?.[0];
  if (option === undefined) return;
  throw new InputError(`${option} is for machines and images (--vm, --iso, --kernel, an image's name); a module or script has none of it`);
}

/** Throws InputError. */
export async function workOf(input: WorkOptions, means: WorkMeans): Promise<Work> {
  const { file, args, dir, env, cpu, mem, disk, maxOutput, assurance, replicas, audit, pay } = input;
  if (replicas > 1 && audit) throw new InputError("--audit is for one server; replicas are compared with each other");
  if (pay === "by-interval" && audit) throw new InputError("--audit is for jobs that are paid on result");
  const deterministic = assurance === "deterministic-vm";
  const wished = <T extends BuiltWork>(work: T): T => (input.forgetInputs ? forgetting(work) : work);
  const options = vmOptionsOf(input, means.feedsImage);
  if (means.program === undefined && means.kind === undefined && asksForVm(file ?? undefined, options)) {
    const inputs = { in: input.in ?? undefined, files: means.files };
    const hasInputs = input.in !== null || (means.files?.length ?? 0) > 0;
    const shared = { hasInputs, dir, env, cpu, maxOutput, deterministic, ...given({ mem, disk }) };
    const machine = await parseVm(file ?? undefined, args, options, shared, machineHere(inputs, means.looking, means.reading));
    const wanted = wantedOf(input, machine);
    return {
      wanted,
      shared: machine.shared,
      says: machine.says,
      build: ({ vmEngine }) => wished(machine.build(vmEngine, wanted.fuelMax)),
      ...{ showsConsole: machine.showsConsole, isFed: means.feedsImage && !machine.showsConsole },
      module: null,
    };
  }
  if (deterministic)
    throw new InputError("--assurance deterministic-vm is for machines: --kernel FILE --initrd FILE; a module is deterministic by itself");
  refuseForImages(options);
  refuseForMachines(options);
  const wanted = wantedOf(input, null);
  const parsed = await moduleOf(input, wanted, means);
  const bringsNone = dir.length === 0 && input.in === null && !means.files?.length;
  const unseen = bringsNone ? await unseenAmong(args) : null;
  const says = [
    ...(parsed.isPython ? [`python   ${PYTHON.name}: ${PYTHON.lacks}`] : []),
    ...(parsed.isUnwrapped ? ["module   the one of WASI preview 1 that the component holds; its adapter stays here"] : []),
    ...(unseen === null ? [] : [unseen]),
  ];
  const ways = {
    showsConsole: false,
    isFed: false,
    build: ({ engine }: Pick<Quoted["offer"], "engine">) => wished(finishJob(parsed, engine)),
  };
  return { wanted, shared: parsed.shared, says, ...ways, module: parsed };
}
