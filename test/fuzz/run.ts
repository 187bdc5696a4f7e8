/** Plays inputs of a target, each made of the seed and its number alone: whoever has both has the input. */
import { Random } from "../../packages/testkit/src/random.ts";
import { ACCEPTED, type Outcome, type Target } from "./target.ts";

export interface Found {
  /** Error and the place that threw it: what is found again and again is counted once. */
  what: string;
  /** Of the input, under the seed. */
  index: number;
  stack: string;
  /** As small as it still shows it. */
  input: Uint8Array;
}

export interface Tally {
  inputs: number;
  accepted: number;
  /** By code. */
  refused: Record<Outcome, number>;
  found: Found[];
}

/** How many different things are told apart before a run ends. */
const FOUND_MAX = 20;
const MINIMISING_TRIES = 600;
/** Real inputs go through unchanged now and then: a parser that refuses them all is not played. */
const UNCHANGED = 0.01;

const mixed = (seed: number, index: number): number => {
  const once = Math.imul((seed ^ 0x9e37_79b9) + Math.imul(index + 1, 0x85eb_ca6b), 0xc2b2_ae35);
  return (once ^ (once >>> 15)) >>> 0;
};

export function inputOf(target: Target, corpus: readonly Uint8Array[], seed: number, index: number): Uint8Array {
  const random = new Random(mixed(seed, index));
  random.fraction();
  const input = new Uint8Array(random.pick(corpus)); // a copy: a slice of a Buffer is none
  return random.chance(UNCHANGED) ? input : target.mutate(input, random, corpus);
}

/** The first place in the stack that is not the fuzzer's own. */
function whatOf(error: unknown): { what: string; stack: string } {
  const { name, message, stack = "" } = error instanceof Error ? error : new Error(String(error));
  const place = /\n\s+at .*?((?:packages|node_modules)\/[^\n)]*)/.exec(stack)?.[1] ?? "";
  const words = message.replaceAll(/[0-9a-f]{16,}|\d+/g, "#").slice(0, 120);
  return { what: `${name}: ${words} (${place})`, stack };
}

type Played = { outcome: Outcome } | { what: string; stack: string };

async function once(target: Target, input: Uint8Array): Promise<Played> {
  try {
    const outcome = target.play(input);
    return { outcome: typeof outcome === "string" ? outcome : await outcome };
  } catch (error) {
    return whatOf(error);
  }
}

/** Refusals are thrown by the million, and a stack is most of what each costs: it is taken of what is played again because of a find. */
async function playOne(target: Target, input: Uint8Array): Promise<Played> {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  const played = await once(target, input.slice()).finally(() => (Error.stackTraceLimit = limit));
  if ("outcome" in played) return played;
  const again = await once(target, input);
  return "what" in again ? again : played;
}

/** Leaves out whatever can be left out without another thing being found. */
export async function minimised(target: Target, input: Uint8Array, what: string): Promise<Uint8Array> {
  let [least, tries] = [input, MINIMISING_TRIES];
  for (let size = Math.ceil(input.length / 2); size >= 1 && tries > 0; size = size === 1 ? 0 : Math.ceil(size / 2))
    for (let at = 0; at < least.length && tries > 0; tries--) {
      const shorter = Buffer.concat([least.subarray(0, at), least.subarray(at + size)]);
      const again = await playOne(target, new Uint8Array(shorter));
      if ("what" in again && again.what === what) least = new Uint8Array(shorter);
      else at += size;
    }
  return least;
}

export interface Run {
  seed: number;
  /** The first input's number. */
  from: number;
  count: number;
  /** Told of each input before it is played; false ends the run. */
  before?(index: number): boolean;
}

export async function fuzz(target: Target, corpus: readonly Uint8Array[], { seed, from, count, before = () => true }: Run): Promise<Tally> {
  const tally: Tally = { inputs: 0, accepted: 0, refused: {}, found: [] };
  for (let index = from; index < from + count && tally.found.length < FOUND_MAX && before(index); index++) {
    const input = inputOf(target, corpus, seed, index);
    const played = await playOne(target, input);
    tally.inputs++;
    if ("outcome" in played) {
      if (played.outcome === ACCEPTED) tally.accepted++;
      else tally.refused[played.outcome] = (tally.refused[played.outcome] ?? 0) + 1;
    } else if (!tally.found.some(({ what }) => what === played.what))
      tally.found.push({ ...played, index, input: await minimised(target, input, played.what) });
  }
  return tally;
}
