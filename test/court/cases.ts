/** Seeds played one after the other, and what came of them, counted: what the test asserts and the bench shows. */
import { EMPTY_BYTES_DIGEST, EMPTY_TREE_DIGEST } from "@xenoservers/market";
import { alarms, honestProblem } from "./honest.ts";
import { courtModules, type CourtModule } from "./jobs.ts";
import { gapOf } from "./open.ts";
import type { Wanted } from "./lie.ts";
import { ENDS, planOf, type Plan } from "./plan.ts";
import { play, type Played } from "./play.ts";
import type { Outcome, Told } from "./told.ts";
import { twinOf, type Aim } from "./twin.ts";

export interface Counted {
  honest: number;
  lies: number;
  /** Honest cases in which something was wrong, with their seeds. */
  wronged: string[];
  outcomes: Record<Outcome, number>;
  /** By its name: the lies that paid, with their seeds. */
  gaps: Record<string, string[]>;
  /** How leases of honest cases ended. */
  ends: Record<string, number>;
  /** How results of honest cases were judged. */
  judged: Record<string, number>;
  /** Who has lied. */
  liars: Record<string, number>;
}

const nothingYet = (): Counted => ({
  ...{ honest: 0, lies: 0, wronged: [], gaps: {}, ends: {}, judged: {}, liars: {} },
  outcomes: { refused: 0, convicted: 0, harmless: 0, "another contract": 0, gain: 0 },
});

const add = (counts: Record<string, number>, name: string): void => void (counts[name] = (counts[name] ?? 0) + 1);

/** More than any job of the court had used when it was stopped, and less than it may. */
const BEYOND = "99999";

/** The job would not have fitted, or never came: nothing ran, and nobody can tell whose doing it was. */
const BLAMES_CUSTOMER: Wanted = {
  field: "reason",
  told: {
    ...{ reason: "job-refused", exitCode: null, usedMs: 0, fuel: "0", memoryHash: null, stateRoot: null },
    ...{ outputDigest: EMPTY_TREE_DIGEST, stdoutDigest: EMPTY_BYTES_DIGEST, stderrDigest: EMPTY_BYTES_DIGEST },
  },
};

/** What a server can say otherwise of a job, for every way in which that can end; then referees lie; then anybody anywhere. */
const SAID_OF_JOB: readonly (Wanted & Partial<Pick<Plan, "terms">>)[] = [
  ...[
    { field: "reason" },
    { field: "fuel" },
    { field: "fuel", told: { fuel: BEYOND }, terms: "on-result" as const },
    { field: "memoryHash" },
  ],
  ...[{ field: "outputDigest", terms: "by-interval" as const }, { field: "stdoutDigest" }, BLAMES_CUSTOMER],
  { field: "usedMs", terms: "by-interval" },
];
const AIMED = ENDS.length * SAID_OF_JOB.length;
/** Of the whole job in any way, or that nothing ran; then of a segment. */
const AT_REFEREE = 2 * ENDS.length;

const wantedFor = (seed: number) => SAID_OF_JOB[Math.floor(seed / ENDS.length)];

const isOfSegment = (seed: number): boolean => seed >= AIMED + ENDS.length;

function aimFor(seed: number): Aim | null {
  const wanted = wantedFor(seed);
  if (wanted) return { role: "server", kind: "result", ...wanted };
  if (seed >= AIMED + AT_REFEREE) return null;
  const ofJob: Wanted = seed % 4 === 0 ? BLAMES_CUSTOMER : { field: null };
  return { role: "referee", kind: "result", ...(isOfSegment(seed) ? { field: "fuel" } : ofJob) };
}

/** A referee that nobody asks cannot lie. */
const doubting = (plan: Plan): Plan => ({ ...plan, doubt: isOfSegment(plan.seed) || plan.seed % 3 === 0 ? "segment" : "whole" });

/** What became of doubts, in the words that the test looks for. */
const judgements = ({ own, leases }: Played): string[] => [
  ...own.flatMap(({ draw }) => (draw ? [draw.round === 1 ? "by the first referee" : "by another referee"] : [])),
  ...own.flatMap(({ verdict }) => (verdict ? ["overturned"] : [])),
  ...leases.flatMap(({ judges, segment }) => (judges === null ? [] : [segment ? "a segment" : "the whole job"])),
];

const wordsOf = ({ lie: { by, kind }, field, end, why, isShown }: Told): string =>
  `${by}'s ${kind} (${field}), ended ${end}: ${why}${isShown ? ", which its receipt shows" : ""}`;

export class Court {
  readonly #modules: readonly CourtModule[];
  readonly counted = nothingYet();

  private constructor(modules: readonly CourtModule[]) {
    this.#modules = modules;
  }

  static async open(): Promise<Court> {
    return new Court(await courtModules());
  }

  /** What was wrong in it; nothing else is told. */
  async honest(seed: number): Promise<string | null> {
    const { counted } = this;
    const played = await play(planOf(seed, this.#modules), "as planned");
    counted.honest++;
    for (const { end, state } of played.own) add(counted.ends, end?.reason ?? state);
    for (const how of judgements(played)) add(counted.judged, how);
    const problem = (await honestProblem(played)) ?? (await alarms(played))[0] ?? null;
    if (problem !== null) counted.wronged.push(`seed ${seed}: ${problem}`);
    return problem;
  }

  /** What became of its lie, in words; null where nobody could lie there. */
  async lie(seed: number): Promise<string | null> {
    const { counted } = this;
    const aim = aimFor(seed);
    const terms = wantedFor(seed)?.terms;
    const plan = planOf(seed, this.#modules, terms ? { terms } : {});
    const told = await twinOf(aim?.role === "referee" ? doubting(plan) : plan, aim);
    if (!told) return null;
    counted.lies++;
    counted.outcomes[told.outcome]++;
    add(counted.liars, told.lie.by.replace(/ \d+$/, ""));
    if (told.outcome === "gain") (counted.gaps[gapOf(told)] ??= []).push(`seed ${seed}: ${wordsOf(told)}`);
    return `${told.outcome}: ${wordsOf(told)}`;
  }
}
