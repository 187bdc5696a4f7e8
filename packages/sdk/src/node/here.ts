/** What this machine does for its customer's programs: reads files and folders, and keeps what was signed. */
import { bytesOf, programOf } from "../facade/given-program.ts";
import type { FilesPlace, Here, Planned } from "../facade/here.ts";
import { toldHere, workOptionsOf } from "../facade/read-input.ts";
import type { AttachOptions, RunInput } from "../facade/run-input.ts";
import { InputError } from "../errors.ts";
import { keepBroken } from "./broken-order.ts";
import { entriesOf } from "./input-files.ts";
import { keepJob, rebuildJob } from "./kept-job.ts";
import { keepReceipt, readReceipt } from "./kept-receipt.ts";
import { keptRuns } from "./kept-runs.ts";
import { openMapPlace } from "./map-place.ts";
import type { ModuleCheck } from "../module-check.ts";
import type { ProgramKind } from "../runtimes.ts";
import { assertPlaceFor } from "./place-here.ts";
import { saidKind } from "./program-kind.ts";
import { writeResults } from "./results.ts";
import { workOf, type Work } from "./work.ts";

interface PlannedAs {
  /** Where what lies in /out comes to; null: see `left`. */
  out: string | null;
  /** What lies in /out stays with the server, else it comes to the program. */
  left: boolean;
  /** Of what cannot be written here, and why. */
  leftOut(what: string): void;
}

/** What was read, as a market orders it. */
export const plannedOf = ({ wanted, build, shared }: Work, as: PlannedAs): Planned => ({ wanted, build, ...placeOf(shared, as) });

const placeOf = (shared: Work["shared"], { out, left, leftOut }: PlannedAs): FilesPlace => ({
  files: out !== null || shared.length > 0 ? "written" : left ? "left" : "held",
  write: (tree, fetch) => writeResults(tree, { fetch, out, shared, leftOut }),
});

async function filesPlace({ out, leaveFiles = false, onWarning = () => {} }: Pick<RunInput, keyof AttachOptions>): Promise<PlannedAs> {
  if (leaveFiles && out !== undefined) throw new InputError("leaveFiles leaves with the server what out brings here: give one of them");
  if (out !== undefined) await assertPlaceFor(out);
  return { out: out ?? null, left: leaveFiles, leftOut: (what) => onWarning(`left out: ${what}`) };
}

/** Of a program that is a file here; undefined: it is none, or there is none of that name. Throws InputError. */
async function kindOf({ python, module }: RunInput): Promise<ProgramKind | undefined> {
  if (typeof python === "string") return (await saidKind({ python })) ?? undefined;
  return typeof module === "string" ? ((await saidKind({ module })) ?? undefined) : undefined;
}

async function planOf(input: RunInput, check: ModuleCheck): Promise<Planned> {
  const { files, stdin, onInput, onImage, onNote, onWarning = () => {} } = input;
  const options = workOptionsOf(input);
  const place = await filesPlace(input);
  const [program, kind] = [programOf(input), await kindOf(input)];
  const work = await workOf(options, {
    ...(program ? { program } : {}),
    ...(kind ? { kind } : {}),
    ...(files ? { files: await entriesOf(files, input) } : {}),
    stdin: async () => bytesOf(stdin ?? ""),
    feedsImage: onInput !== undefined,
    check,
    looking: { watch: onImage, warn: onWarning },
    reading: input,
  });
  if (onInput !== undefined && !work.isFed)
    throw new InputError("onInput feeds an image's program: a module or script reads stdin, and a machine its console");
  for (const line of work.says) onNote?.(line);
  return plannedOf(work, place);
}

export function hereWith(check: ModuleCheck): Here {
  return {
    filesPlace: async (options) => placeOf([], await filesPlace(options)),
    plan: (input) => planOf(input, check).catch(toldHere),
    keepJob,
    keptJob: rebuildJob,
    keepReceipt: async (...asked) => (await keepReceipt(...asked)).receipt,
    keepBroken: async (error) => void (await keepBroken(error).catch(() => null)),
    mapJournal: openMapPlace,
    runs: keptRuns,
    signedAbout: keptRuns.signedAbout,
    keptReceipt: async (leaseOrFile, client, watching) => (await readReceipt(leaseOrFile, [], async () => client, watching)).receipt,
  };
}
