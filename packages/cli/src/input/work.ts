/** From what was typed after `xeno run` to what is wanted of the market, and to the job or machine that is to run. */
import { usualTerms } from "@xenoservers/market";
import { PYTHON, driverOf, type BuiltWork, type Quoted, type Wanted } from "@xenoservers/sdk";
import { UserError } from "../output/ui.ts";
import { finishJob, parseJob, type ParsedJob, type SharedFolder } from "./job-from-args.ts";
import { parseCount, parseSizeMib } from "./parse.ts";
import { refuseForImages } from "./process-from-args.ts";
import { given } from "./verb.ts";
import { programOf } from "./program.ts";
import { isPiped, standardInput } from "./standard-input.ts";
import type { WorkInput } from "./verbs/run.ts";
import { asksForVm, bootsMachine, parseVm, type ParsedVm, type VmOptions } from "./vm-from-args.ts";

const WASM_MEMORY = "512M";
const WASM_DISK = "256M";
const WASM_VCPU_MAX = 1_024;

/** What is to run, of either kind. */
export interface Work {
  wanted: Wanted;
  shared: SharedFolder[];
  says: string[];
  build(offer: Pick<Quoted["offer"], "engine" | "vmEngine">): BuiltWork;
  /** What it prints is a console that can be typed into. */
  showsConsole: boolean;
  /** For `--local`; null for a machine. */
  module: ParsedJob | null;
}

function vmOptionsOf(input: WorkInput): VmOptions {
  const {
    vm,
    format,
    digest,
    iso,
    kernel,
    initrd,
    append,
    image,
    entrypoint,
    machine,
    uefi,
    windows,
    tpm,
    screen,
    hostname,
    user,
    sshKey,
    userData,
    workdir,
    tty,
    stopSignal,
    stopGrace,
  } = input;
  const { network, egress, egressMax, accel } = input;
  const boots = { vm, format, digest, iso, kernel, initrd, append, image, entrypoint, machine, uefi, windows, tpm, screen };
  // of a program that nobody stays with, nothing that happens to be piped in is the input
  const stdin = input.stdin || (isPiped() && !input.noStdin && !("detach" in input && input.detach === true));
  const held = { workdir, stdin, tty, stopSignal, stopGrace };
  return given({ ...boots, ...held, hostname, user, sshKey, userData, network, egress, egressMax, accel });
}

function wantedOf(input: WorkInput, machine: ParsedVm | null): Wanted {
  const { pay, assurance, replicas, audit, on, where, maxPrice, maxTime, maxFuel, maxFee, budget, batch, label } = input;
  const ordered = machine?.ordered ?? {};
  return {
    ...ordered,
    resources: machine?.resources ?? {
      vcpu: parseCount(input.cpu, "--cpu", WASM_VCPU_MAX),
      memoryMib: parseSizeMib(input.mem ?? WASM_MEMORY, "--mem"),
      diskMib: parseSizeMib(input.disk ?? WASM_DISK, "--disk", 0),
    },
    conditions: [...where, ...(machine?.conditions ?? [])],
    terms: pay ?? usualTerms(driverOf(ordered), assurance),
    assurance: assurance !== "isolated" || (replicas === 1 && !audit) ? assurance : "replicated",
    on,
    maxPriceNanosPerHour: maxPrice,
    durationMsMax: maxTime,
    fuelMax: maxFuel,
    budgetNanos: budget,
    label: label ?? "",
    ...given({ batch, feeBasisPointsMax: maxFee, replicas: replicas > 1 ? replicas : null }),
  };
}

async function moduleOf(input: WorkInput, wanted: Wanted): Promise<ParsedJob> {
  const { file, args, dir, env, maxOutput } = input;
  if (file === null) throw new UserError("say what to run: a .wasm module, a .py script, the name of an image, or --vm, --kernel, --iso");
  return parseJob({
    ...{ file, args, dir, env },
    stdin: () => standardInput({ always: input.stdin, never: input.noStdin }),
    memoryMib: wanted.resources.memoryMib,
    diskMib: wanted.resources.diskMib,
    outputMib: parseSizeMib(maxOutput, "--max-output"),
    fuelMax: wanted.fuelMax,
    ...given({ in: input.in, out: input.out }),
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
  throw new UserError(`${option} is for machines and images (--vm, --iso, --kernel, an image's name); a module or script has none of it`);
}

export async function workOf(typed: WorkInput): Promise<Work> {
  const asked = typed.file === null || bootsMachine(vmOptionsOf(typed)) ? null : await programOf({ file: typed.file, args: typed.args });
  const input: WorkInput = { ...typed, ...asked };
  const { file, args, dir, env, cpu, mem, disk, maxOutput, assurance, replicas, audit, pay } = input;
  if (replicas > 1 && audit) throw new UserError("--audit is for one server; replicas are compared with each other");
  if (pay === "by-interval" && audit) throw new UserError("--audit is for jobs that are paid on result");
  const deterministic = assurance === "deterministic-vm";
  const options = vmOptionsOf(input);
  if (asksForVm(file ?? undefined, options)) {
    const machine = await parseVm(file ?? undefined, args, options, {
      dir,
      env,
      cpu,
      maxOutput,
      deterministic,
      quiet: input.quiet || input.json,
      ...given({ in: input.in, mem, disk }),
    });
    const wanted = wantedOf(input, machine);
    return {
      wanted,
      shared: machine.shared,
      says: machine.says,
      build: ({ vmEngine }) => machine.build(vmEngine, wanted.fuelMax),
      showsConsole: machine.showsConsole,
      module: null,
    };
  }
  if (deterministic)
    throw new UserError("--assurance deterministic-vm is for machines: --kernel FILE --initrd FILE; a module is deterministic by itself");
  refuseForImages(options);
  refuseForMachines(options);
  const wanted = wantedOf(input, null);
  const parsed = await moduleOf(input, wanted);
  const says = [
    ...(parsed.isPython ? [`python   ${PYTHON.name}: ${PYTHON.lacks}`] : []),
    ...(parsed.isUnwrapped ? ["module   the one of WASI preview 1 that the component holds; its adapter stays here"] : []),
  ];
  return { wanted, shared: parsed.shared, says, build: ({ engine }) => finishJob(parsed, engine), showsConsole: false, module: parsed };
}
