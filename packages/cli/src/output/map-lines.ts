/** How far a map has come, in one line; on a terminal it stands, in a log it comes every now and then. */
import type { MapProgress } from "@xenoservers/sdk";
import { sayOver } from "./over.ts";
import { dim, say } from "./terminal.ts";
import { countOf, duration, money } from "./ui.ts";

const EVERY_MS_IN_LOGS = 10_000;

export function mapText(progress: MapProgress, currency: string): string {
  const { all, done, failed, running, earlier, costNanos, estimateNanos, perSecond, leftMs } = progress;
  const parts = [
    `${done}/${all} done`,
    ...(earlier > 0 ? [`${earlier} of them earlier`] : []),
    `${failed} failed`,
    `${running} running`,
    ...(perSecond > 0 ? [`${perSecond >= 1 ? perSecond.toFixed(1) : perSecond.toPrecision(2)}/s`] : []),
    `cost ${money(costNanos, currency)}`,
    ...(estimateNanos === null || done === all ? [] : [`about ${money(estimateNanos, currency)} in all`]),
    ...(leftMs === null || done === all ? [] : [`${duration(leftMs)} left`]),
  ];
  return `map      ${parts.join(", ")}`;
}

/**
 * What of a map `command` goes on with; null: nothing. `unknown`: inputs that came to no result here, of which nobody can say what was
 * ordered for them.
 */
export function leftText(undone: readonly string[], unknown: number, command: string): string | null {
  const left = `${countOf(undone.length, "input")} left undone (${namedText(undone)})`;
  if (undone.length > 0) return `${left}: the budget is used up; go on with a larger one: ${command}`;
  if (unknown === 0) return null;
  return `${countOf(unknown, "input")} came to no result here; mended, this runs what is left, and pays nothing again: ${command}`;
}

const NAMED_MAX = 5;

/** The inputs of which one thing is to be said, in one line: the first by their names. */
function namedText(names: readonly string[]): string {
  const more = names.length - NAMED_MAX;
  return `${names.slice(0, NAMED_MAX).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

export class MapLine {
  readonly #quiet: boolean;
  readonly #currency: string;
  #shownAt = performance.now();
  #latest: MapProgress | null = null;

  constructor(quiet: boolean, currency: string) {
    this.#quiet = quiet;
    this.#currency = currency;
  }

  get latest(): MapProgress | null {
    return this.#latest;
  }

  show(progress: MapProgress): void {
    this.#latest = progress;
    if (this.#quiet) return;
    if (process.stderr.isTTY) return sayOver(mapText(progress, this.#currency));
    const now = performance.now();
    if (now - this.#shownAt < EVERY_MS_IN_LOGS) return;
    this.#shownAt = now;
    say(dim(mapText(progress, this.#currency)));
  }

  /** Before something else is written. */
  clear(): void {
    if (!this.#quiet) sayOver("");
  }

  end(): void {
    this.clear();
    if (!this.#quiet && this.#latest) say(mapText(this.#latest, this.#currency));
  }
}
