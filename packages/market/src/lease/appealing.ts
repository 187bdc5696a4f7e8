/**
 * Whose turn it is to judge, and the appeal against a verdict. Referees are drawn in rounds, one after the other, each once: a doubt and
 * its appeal always come to an end. `finding` is what comparing two signed results came to (verify/judging). Who controls the inputs: the
 * broker (draws, reviews), the convicted owner (appeals).
 */
import { REFEREES_MAX, drawReferee } from "../referees.ts";
import { isAppealed } from "./deadlines.ts";
import { concluded, endOfLease, inWindow, standing } from "./disputing.ts";
import type { FactOf } from "./facts.ts";
import type { Lease } from "./lease.ts";
import { firstRefused, refused, taken, type Step } from "./refusal.ts";

const sameList = (one: readonly string[], other: readonly string[]): boolean =>
  one.length === other.length && one.every((each, i) => each === other[i]);

/** Every referee from the round of the last draw to before this one, in their order: nobody's turn is skipped in silence. */
const passedOver = (seed: string, candidates: readonly string[], from: number, round: number): (string | null)[] =>
  Array.from({ length: Math.max(0, round - from) }, (_, i) => drawReferee(seed, candidates, from + i));

const isSorted = (list: readonly string[]): boolean => list.every((each, i) => i === 0 || (list[i - 1] ?? "") < each);

/** The next referee, or nobody: then a doubt freezes nothing any more, and a verdict stands. */
export function draw(lease: Lease, { id, at, content }: FactOf<"draw">): Step {
  const { settlement, draw: before, trace } = lease;
  const { round, referee, candidates, passed } = content;
  const seed = settlement ?? "0";
  const wrong =
    firstRefused("wrong_state", [[trace !== null && settlement !== null, "nobody has doubted it"]]) ??
    firstRefused("not_drawn", [
      [isSorted(candidates) && candidates.length <= REFEREES_MAX, "the candidates are not sorted, or too many"],
      [before === null || sameList(before.candidates, candidates), "the candidates are not those of the round before"],
      [round > (before?.round ?? 0), "the round was drawn before"],
      [round <= candidates.length + 1, "there is no such round"],
      [drawReferee(seed, candidates, round) === referee, "another referee's turn it is"],
    ]);
  if (wrong) return wrong;
  const over = passedOver(seed, candidates, before?.round ?? 1, round);
  const isSaid = over.length === passed.length && over.every((each, i) => each === passed[i]?.referee);
  if (!isSaid) return refused("not_drawn", "it does not say whose turns are passed over");
  if (referee !== null) return taken({ ...lease, draw: { id, round, referee, candidates, at } });
  const stands = lease.state === "convicted" ? standing(lease, "the referee proved it wrong, and no other is left") : null;
  if (stands) return taken(stands);
  return concluded(lease, { ownerNanos: BigInt(endOfLease(lease).ownerNanos), why: "no referee is left to judge it" });
}

/** The convicted owner brings what a second referee came to; the broker's review follows. */
export function appeal(lease: Lease, { at }: FactOf<"appeal">): Step {
  return inWindow(lease, at) ?? (isAppealed(lease) ? taken(lease) : refused("wrong_state", "no second referee was drawn"));
}

/** A second referee that agrees with the convicted server overturns the verdict: its stake is its own again. Else the verdict stands. */
export function review(lease: Lease, { at, content }: FactOf<"review">): Step {
  const { draw: drawn, final } = lease;
  const late = inWindow(lease, at);
  if (late) return late;
  if (!isAppealed(lease) || !final || drawn?.round !== content.round || drawn.referee !== content.referee)
    return refused("not_drawn", "its referee is not the one that was drawn", { round: drawn?.round ?? null });
  switch (content.finding) {
    case "agrees":
      return taken({
        ...lease,
        state: "final",
        final: { ...final, stakeTo: "owner", judgement: "right", why: "a second referee bears it out: the verdict is overturned" },
      });
    case "differs": {
      const stands = standing(lease, "a second referee does not bear it out either: the verdict stands");
      return stands ? taken(stands) : refused("wrong_state", "there is no verdict");
    }
    case "not-comparable":
    case "unknown":
      return refused("not_comparable", "the two results cannot decide an appeal");
  }
}
