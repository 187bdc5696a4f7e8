/** Targets with known faults, each at one input or at every one that holds a sign. */
import { ACCEPTED, bytesOf, textOf, type Target } from "./target.ts";

const LEAKED_BYTES = 16 * 1024 * 1024;

const SIGN = 0.05;

function planted(name: string, play: Target["play"]): Target {
  return {
    name,
    covers: [],
    corpus: async () => [bytesOf("input")],
    mutate: (_, random) => bytesOf(random.chance(SIGN) ? "more!" : "text"),
    play,
  };
}

const kept: Uint8Array[] = [];
const soon = (): Promise<string> => new Promise((resolve) => setImmediate(() => resolve(ACCEPTED)));

/** Several times as deep as a program's stack. */
const DEPTH = 40_000;
const depthOf = (left: number): number => (left === 0 ? 0 : 1 + depthOf(left - 1));

export const TARGETS: readonly Target[] = [
  planted("hangs", (input) => {
    for (let rounds = 0; textOf(input).includes("!");) rounds++;
    return ACCEPTED;
  }),
  planted("leaks", async (input) => {
    while (textOf(input).includes("!")) {
      kept.push(new Uint8Array(LEAKED_BYTES).fill(1));
      await soon();
    }
    return ACCEPTED;
  }),
  planted("crashes", (input) => {
    if (textOf(input).includes("!")) void Promise.reject(new Error("nobody catches this"));
    return soon();
  }),
  planted("nests", (input) => (depthOf(textOf(input).includes("!") ? DEPTH : 1) > 0 ? ACCEPTED : "none")),
  planted("throws", (input) => {
    if (textOf(input).includes("!")) throw new RangeError("it has a sign in it");
    return ACCEPTED;
  }),
];
