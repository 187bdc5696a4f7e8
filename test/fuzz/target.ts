/** What is fuzzed: a parser that strangers reach, what real input of it looks like, and how that is bent by its own structure. */
import type { Random } from "../../packages/testkit/src/random.ts";

/** `accepted`, or what the parser calls its refusal. */
export type Outcome = string;
export const ACCEPTED = "accepted";
export const REFUSED = "refused";

export type Mutate = (input: Uint8Array, random: Random, others: readonly Uint8Array[]) => Uint8Array;

export interface Target {
  readonly name: string;
  /** The functions that it plays, each as `FILE below packages#NAME`. */
  readonly covers: readonly string[];
  /** Real inputs, made by others wherever they can be had. */
  corpus(): Promise<readonly Uint8Array[]>;
  readonly mutate: Mutate;
  /** Throws where something was found: what a parser throws that is no refusal of its own, or a property that does not hold. */
  play(input: Uint8Array): Outcome | Promise<Outcome>;
}

/** A property does not hold. */
export class Broken extends Error {
  override name = "Broken";
}

export function demand(holds: boolean, what: string): void {
  if (!holds) throw new Broken(what);
}

/** The outcome of a call that refuses by throwing one of these. Anything else that it throws goes on. */
export function byThrowing(call: () => unknown, ...refusals: readonly (abstract new (...args: never[]) => Error)[]): Outcome {
  try {
    call();
    return ACCEPTED;
  } catch (error) {
    const refusal = refusals.find((each) => error instanceof each);
    if (!refusal || (refusal === Error && error instanceof Error && error.constructor !== Error)) throw error;
    return refusal.name || REFUSED;
  }
}

/** As byThrowing, of a call that takes its time. */
export async function byRejecting(
  call: () => Promise<unknown>,
  ...refusals: readonly (abstract new (...args: never[]) => Error)[]
): Promise<Outcome> {
  try {
    await call();
    return ACCEPTED;
  } catch (error) {
    const refusal = refusals.find((each) => error instanceof each);
    if (!refusal) throw error;
    return refusal.name;
  }
}

export const textOf = (input: Uint8Array): string => Buffer.from(input.buffer, input.byteOffset, input.length).toString("utf8");
/** Texts with lone surrogates as well: every second byte of UTF-16 can be bent. */
export const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "utf8"));
