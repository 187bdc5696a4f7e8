/**
 * A run as it is asked for, read strictly: what is not known, of the wrong type or out of its range is refused before anything is looked
 * for, signed or sent. Who controls the inputs: the program that calls, or whoever it has them from.
 */
import { ASSURANCES, MACHINE_DRIVERS, PAYMENT_TERMS, REPLICAS_MAX, WAITING_MS_MAX } from "@xenoservers/market";
import { InputError } from "../errors.ts";
import { LEASE_ID, budgetIn, conditionsIn, parseAmount, parseDurationMs, parseGigaFuel, parsePercent } from "../words.ts";
import { WORK_DEFAULTS, type WorkOptions } from "../work-options.ts";
import { VM_DRIVER } from "../vm.ts";
import { assertTaken } from "./not-taken.ts";
import type { ReplicasInput } from "./replicated-job.ts";
import type { RunInput } from "./run-input.ts";

const isText = (value: unknown): boolean => typeof value === "string" && !value.includes("\0");
const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;
const isPlain = (value: unknown): boolean => isObject(value) && !Array.isArray(value) && !(value instanceof Uint8Array);
const isWhole = (value: unknown): boolean => typeof value === "number" && Number.isSafeInteger(value) && value >= 0;

type Kind = readonly [is: (value: unknown) => boolean, like: string];
const TEXT: Kind = [isText, "a text"];
const FLAG: Kind = [(value) => typeof value === "boolean", "true or false"];
const COUNT: Kind = [isWhole, "a whole number"];
const TEXTS: Kind = [(value) => Array.isArray(value) && value.every(isText), "a list of texts"];
const NAMED: Kind = [(value) => isPlain(value) && Object.values(value as object).every(isText), "texts by name"];
const BYTES: Kind = [(value) => isText(value) || value instanceof Uint8Array, "a text or bytes"];
const FILE: Kind = [(value) => isText(value) || isObject(value), "a file or bytes"];
const INPUT: Kind = [(value) => typeof value === "string" || value instanceof Uint8Array, "a text or bytes"];
const AMOUNT: Kind = [(value) => isText(value) || (typeof value === "bigint" && value >= 0n), 'an amount: "0.50", or nanos as bigint'];
const TIME: Kind = [(value) => isText(value) || isWhole(value), 'a duration: "10m", or milliseconds'];
const CALL: Kind = [(value) => typeof value === "function", "a function"];
const oneOf = (...words: string[]): Kind => [(value) => words.some((word) => word === value), `one of ${words.join(", ")}`];
const hasText = (value: unknown, key: string): boolean => isObject(value) && isText(Reflect.get(value, key));

const KINDS: { readonly [K in keyof Required<ReplicasInput>]: Kind } = {
  python: [(value) => isText(value) || (isObject(value) && typeof Reflect.get(value, "source") === "string"), "a file, or { source }"],
  module: BYTES,
  image: FILE,
  vm: FILE,
  iso: FILE,
  kernel: FILE,
  args: TEXTS,
  env: NAMED,
  files: [
    (value) => isPlain(value) && Object.values(value as object).every((each) => INPUT[0](each) || (isPlain(each) && hasText(each, "path"))),
    "contents by name: a text, bytes, or { path }",
  ],
  in: TEXT,
  dir: TEXTS,
  stdin: INPUT,
  out: TEXT,
  leaveFiles: FLAG,
  forgetInputs: FLAG,
  budget: AMOUNT,
  maxPrice: AMOUNT,
  maxFee: TEXT,
  maxTime: TIME,
  maxFuel: COUNT,
  maxOutput: TEXT,
  cpu: COUNT,
  mem: TEXT,
  disk: TEXT,
  stay: FLAG,
  where: TEXT,
  on: oneOf("mine", "market"),
  assurance: oneOf(...ASSURANCES),
  pay: oneOf(...PAYMENT_TERMS),
  label: TEXT,
  account: TEXT,
  batch: TEXT,
  after: [(value) => Array.isArray(value) && value.every((each) => typeof each === "string" && LEASE_ID.test(each)), "a list of leases"],
  wait: TIME,
  replicas: [(value) => isWhole(value) && Number(value) >= 2 && Number(value) <= REPLICAS_MAX, `a number from 2 to ${REPLICAS_MAX}`],
  noAudit: FLAG,
  tty: FLAG,
  workdir: TEXT,
  stopSignal: TEXT,
  stopGrace: TIME,
  entrypoint: TEXT,
  format: oneOf("qcow2", "raw"),
  digest: TEXT,
  initrd: FILE,
  append: TEXT,
  machine: oneOf("pc", "q35", "microvm"),
  uefi: FLAG,
  tpm: FLAG,
  windows: FLAG,
  screen: FLAG,
  hostname: TEXT,
  user: TEXT,
  sshKey: FILE,
  userData: FILE,
  network: FLAG,
  egress: TEXT,
  egressMax: TEXT,
  accel: oneOf("kvm", "any"),
  driver: oneOf(...MACHINE_DRIVERS),
  signal: [(value) => value instanceof AbortSignal, "an AbortSignal"],
  onLease: CALL,
  onState: CALL,
  onSent: CALL,
  onPlace: CALL,
  onInput: CALL,
  receiptWaitMs: COUNT,
  onReceipt: CALL,
  onNote: CALL,
  onRead: CALL,
  onImage: [isObject, "an object with onLayer, onWait and onNext"],
  onWarning: CALL,
};

const PROGRAMS = ["python", "module", "image", "vm", "iso", "kernel"] as const satisfies readonly (keyof RunInput)[];

/** Throws InputError. */
export function assertRunInput(input: RunInput | ReplicasInput): void {
  if (!isPlain(input)) throw new InputError('say what to run: market.run({ python: "hello.py" })');
  for (const [key, value] of Object.entries(input)) {
    const kind = Object.hasOwn(KINDS, key) ? KINDS[key as keyof ReplicasInput] : undefined;
    if (!kind) throw new InputError(`'${key.slice(0, 64)}' is nothing that a run takes`);
    if (value !== undefined && !kind[0](value)) throw new InputError(`${key} must be ${kind[1]}`);
  }
  const named = PROGRAMS.filter((program) => input[program] !== undefined);
  // an installer's medium lies beside the disk that it is for
  const isOne = named.length === 1 || named.join() === "vm,iso";
  if (!isOne)
    throw new InputError(
      `say what to run by one of ${PROGRAMS.join(", ")}${named.length === 0 ? "" : `; here are ${named.join(" and ")}`}`,
    );
}

const timeIn = (value: string | number, name: string): number => (typeof value === "number" ? value : parseDurationMs(value, name));

function pairsOf(env: Readonly<Record<string, string>>): string[] {
  const wrong = Object.keys(env).find((name) => name === "" || name.includes("="));
  if (wrong !== undefined) throw new InputError(`env: '${wrong}' is no name of a variable`);
  return Object.entries(env).map(([name, value]) => `${name}=${value}`);
}

const WAIT_MS_MIN = 1_000;

/** How long the order waits for room; null: not at all. Throws InputError. */
export function waitMsOf({ wait }: RunInput): number | null {
  if (wait === undefined) return null;
  const ms = timeIn(wait, "wait");
  if (ms < WAIT_MS_MIN || ms > WAITING_MS_MAX) throw new InputError(`wait '${wait}' must be from a second to a day`);
  return ms;
}

/** Throws InputError. */
export function isReplicated(input: RunInput | ReplicasInput): input is ReplicasInput {
  const isSeveral = "replicas" in input && input.replicas !== undefined;
  assertTaken(isSeveral ? "replicas" : "one", input);
  return isSeveral;
}

/** Of these of its options, what was given; null: nothing was. */
const orNull = <K extends keyof RunInput>(input: RunInput, ...names: K[]) =>
  Object.fromEntries(names.map((name) => [name, input[name] ?? null])) as { [N in K]: NonNullable<RunInput[N]> | null };
const isAsked = <K extends keyof RunInput>(input: RunInput, ...names: K[]) =>
  Object.fromEntries(names.map((name) => [name, input[name] ?? false])) as { [N in K]: boolean };

/** Throws InputError. */
export function workOptionsOf(input: RunInput | ReplicasInput): WorkOptions {
  const { budget = WORK_DEFAULTS.budget, maxTime, maxPrice, maxFee, maxFuel, stopGrace } = input;
  return {
    file: typeof input.python === "string" ? input.python : typeof input.module === "string" ? input.module : null,
    args: [...(input.args ?? [])],
    ...{ dir: [...(input.dir ?? [])], env: pairsOf(input.env ?? {}) },
    budget: budgetIn(budget),
    maxPrice: typeof maxPrice === "string" ? parseAmount(maxPrice, "maxPrice") : (maxPrice ?? null),
    maxFee: maxFee === undefined ? null : parsePercent(maxFee, "maxFee"),
    maxTime: maxTime === undefined ? null : timeIn(maxTime, "maxTime"),
    maxFuel: maxFuel === undefined ? null : parseGigaFuel(String(maxFuel), "maxFuel"),
    maxOutput: input.maxOutput ?? WORK_DEFAULTS.maxOutput,
    audit: false,
    replicas: isReplicated(input) ? input.replicas : 1,
    ...{ assurance: input.assurance ?? "isolated", on: input.on ?? "market" },
    where: conditionsIn(input.where ?? "", "where: "),
    cpu: String(input.cpu ?? WORK_DEFAULTS.cpu),
    stopGrace: stopGrace === undefined ? null : timeIn(stopGrace, "stopGrace"),
    ...orNull(input, "in", "out", "pay", "mem", "disk", "label", "batch", "image", "vm", "iso", "kernel", "workdir", "stopSignal"),
    ...orNull(input, "entrypoint", "format", "digest", "initrd", "append", "machine", "hostname", "user", "sshKey", "userData"),
    ...isAsked(input, "stay", "forgetInputs", "tty", "uefi", "tpm", "windows", "screen", "network"),
    egress: input.egress ?? "none",
    ...{ egressMax: input.egressMax ?? WORK_DEFAULTS.egressMax, accel: input.accel ?? "kvm" },
    driver: input.driver ?? VM_DRIVER,
  };
}

/** Of an option of the command line, as it is called here: `--max-output` is maxOutput. */
const inOwnWords = (text: string): string =>
  text.replace(/--([a-z]+(?:-[a-z]+)*)/g, (_, name: string) => name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase()));

/** For `catch`: what was read by the rules of the command line is told in the words of this library. */
export function toldHere(error: unknown): never {
  if (error instanceof InputError) throw new InputError(inOwnWords(error.message), { cause: error });
  throw error;
}
