/** Several runs that were read, as one that a market orders: on servers that do such jobs. */
import type { Condition } from "@xenoservers/market";
import { RUNS_LABEL } from "@xenoservers/protocol";
import { InputError } from "../errors.ts";
import { canBeRun, type BuiltWork } from "../built.ts";
import { joinedJob } from "../joined-job.ts";
import type { Wanted } from "../order.ts";
import type { FilesPlace, Planned } from "./here.ts";
import { RunsTaken } from "./map/parts.ts";

/** Met by servers whose offers say that they do jobs of several runs. */
export const DOES_RUNS: Condition = { key: `label.${RUNS_LABEL.name}`, op: "=", value: RUNS_LABEL.value };

/** What lay in the folders of the runs, each to its own place. */
export function runsPlace(count: number | null, places: ReadonlyMap<number, FilesPlace>): { place: FilesPlace; taken: RunsTaken } {
  const taken = new RunsTaken(count, places);
  return { taken, place: { files: "written", write: (tree, fetch) => taken.take(tree, fetch) } };
}

/** Of a job that was kept here; null where it is not. */
export const runsIn = (work: BuiltWork | null): number | null => (work && "runs" in work.spec ? (work.spec.runs?.length ?? 1) : null);

/** Throws InputError where they cannot be one. */
export function runsTogether(
  reads: readonly { planned: Planned; work: BuiltWork }[],
  wanted: Wanted,
): { planned: Planned; wanted: Wanted; taken: RunsTaken } {
  const works = reads.map(({ work }) => {
    if (!canBeRun(work)) throw new InputError("only modules and scripts can be one job");
    return work;
  });
  const { place, taken } = runsPlace(reads.length, new Map(reads.map(({ planned }, index) => [index, planned])));
  const ordered = { ...wanted, conditions: [...wanted.conditions, DOES_RUNS] };
  return { taken, wanted: ordered, planned: { ...place, wanted: ordered, build: ({ engine }) => joinedJob(works, engine) } };
}
