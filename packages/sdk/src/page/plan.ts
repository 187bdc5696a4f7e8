/**
 * A run as a page asks for it: a module's bytes, or a script's text, and files that the page holds. What takes a machine with files or
 * images is refused in words, and what takes several leases where the page has not loaded it. Who controls the inputs: the page.
 */
import { forgetting } from "../built.ts";
import { InputError } from "../errors.ts";
import { bytesOf, programOf } from "../facade/given-program.ts";
import type { Planned } from "../facade/here.ts";
import { entriesIn } from "../facade/input-entries.ts";
import { toldHere, workOptionsOf } from "../facade/read-input.ts";
import type { ReplicasInput } from "../facade/replicated-job.ts";
import type { RunInput } from "../facade/run-input.ts";
import { buildJob } from "../job.ts";
import { plainCheck } from "../module-check.ts";
import { openFolders, programJob } from "../program-input.ts";
import type { ScriptPlace } from "../python-script.ts";
import { PYTHON } from "../runtimes.ts";
import { wantedOf } from "../wanted-of.ts";
import { parseSizeMib } from "../words.ts";
import { notHere, notLoaded } from "./not-here.ts";

/** What a page's run takes; all else is of images, machines, folders or several owners. */
const TAKEN: ReadonlySet<string> = new Set<keyof RunInput>([
  ...(["python", "module", "args", "env", "files", "stdin", "leaveFiles", "forgetInputs"] as const),
  ...(["budget", "maxPrice", "maxFee", "maxTime", "maxFuel", "maxOutput", "cpu", "mem", "disk"] as const),
  ...(["where", "on", "assurance", "pay", "label", "account", "batch", "after", "wait", "receiptWaitMs"] as const),
  ...(["signal", "onLease", "onState", "onSent", "onPlace", "onNote", "onRead", "onWarning"] as const),
]);

/** Of several owners' servers, which takes more code than a page has by itself. */
const SEVERAL: ReadonlySet<string> = new Set(["replicas", "noAudit"] satisfies (keyof ReplicasInput)[]);

/** Throws InputError. */
export function assertHere(options: object, isLoaded: boolean): void {
  const other = Object.entries(options).find(([key, value]) => value !== undefined && !TAKEN.has(key) && !(isLoaded && SEVERAL.has(key)));
  if (other) throw SEVERAL.has(other[0]) ? notLoaded(other[0]) : notHere(other[0]);
}

const PLACE: ScriptPlace = {
  beside: null,
  support: async (isWanted) => {
    if (isWanted) throw notHere("a script with asyncio, concurrent or pbkdf2_hmac");
    return { before: "", beside: [] };
  },
  assertBrought: () => {},
  zones: async () => [],
};

/** A page has none. */
export const fileAt = (path: string): Promise<never> =>
  Promise.reject(new InputError(`files: a page has no file ${path}: give its text or its bytes`));

async function planOf(input: RunInput, isLoaded: boolean): Promise<Planned> {
  assertHere(input, isLoaded);
  const { files, stdin, leaveFiles = false, onNote } = input;
  const options = workOptionsOf(input);
  if (options.file !== null) throw new InputError(`a page has no file ${options.file}: give { source } of a script, or a module's bytes`);
  if (options.assurance === "deterministic-vm") throw notHere("assurance deterministic-vm");
  const program = programOf(input);
  if (!program) throw new InputError("say what to run: python: { source }, or a module's bytes");
  const wanted = wantedOf(options, null);
  const entries = await entriesIn(files ?? {}, fileAt);
  const { name } = program;
  const { input: job, isPython } = await programJob(
    {
      ...{ file: name, ...program, folder: null, args: options.args, env: Object.entries(input.env ?? {}) },
      open: openFolders([], entries.length === 0 ? null : entries, false),
      stdin: async () => bytesOf(stdin ?? ""),
    },
    {
      ...{ memoryMibMax: wanted.resources.memoryMib, diskMibMax: wanted.resources.diskMib, fuelMax: wanted.fuelMax },
      outputMibMax: parseSizeMib(options.maxOutput, "--max-output"),
    },
    { place: PLACE, check: plainCheck },
  );
  if (isPython) onNote?.(`python   ${PYTHON.name}: ${PYTHON.lacks}`);
  return {
    wanted,
    files: leaveFiles ? "left" : "held",
    write: async () => {},
    build: ({ engine }) => (options.forgetInputs ? forgetting(buildJob({ ...job, engine })) : buildJob({ ...job, engine })),
  };
}

/** `isLoaded`: what is beyond one lease at a time. Throws InputError. */
export const planInPage = (input: RunInput, isLoaded: boolean): Promise<Planned> => planOf(input, isLoaded).catch(toldHere);
