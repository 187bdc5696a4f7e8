import { expect, it } from "vitest";
import { BulkTurns } from "./bulk-turns.ts";

const PIECE = 64 * 1024;
const A_TURN = 8;

/** Whoever asks takes a piece whenever it may, and asks again. */
function playing() {
  const next: (() => void)[] = [];
  const turns = new BulkTurns((go) => void next.push(go));
  const took: string[] = [];
  const takes = (holder: string): void => {
    took.push(holder);
    turns.taken(PIECE);
    asks(holder);
  };
  function asks(holder: string): void {
    if (turns.ask(holder, () => takes(holder))) takes(holder);
  }
  const turn = (): string[] => {
    const before = took.length;
    next.shift()?.();
    return took.slice(before);
  };
  return { asks, took, turn };
}

it("gives whoever is alone all that there is in a turn, and no more", () => {
  const { asks, took, turn } = playing();
  asks("a");
  expect(took.length).toBe(A_TURN);
  expect([turn().length, turn().length]).toEqual([A_TURN, A_TURN]);
});

it("gives nobody more for its many links", () => {
  const { asks, turn } = playing();
  for (let i = 0; i < 100; i++) asks("many");
  asks("one");
  turn();
  for (let i = 0; i < 5; i++) expect(turn().filter((holder) => holder === "one").length).toBe(A_TURN / 2);
});
