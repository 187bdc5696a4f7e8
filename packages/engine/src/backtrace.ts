/** Where a guest trapped, in its own functions' names. Who controls the names: the customer; whoever shows them makes them visible. */
import { rustName } from "./rust-names.ts";

const FRAMES_MAX = 8;
/** Longer ones, as templates make them, would leave no room for their callers. */
const NAME_LENGTH_MAX = 120;
const FRAME = /^ +at (?:(.+) \()?wasm:\/\/wasm\/[^ :]*:wasm-function\[(\d+)\]:0x[0-9a-f]+\)?$/;
/** Between these two lies what Rust itself shows of a panic: its own machinery is inside the one, its start outside the other. */
const [END_OF_MACHINERY, BEGIN_OF_PROGRAM] = [/\b__rust_end_short_backtrace\b/, /\b__rust_begin_short_backtrace\b/];

/** Indexes in the rewritten module of the first function that is the module's own, and of the first behind them. */
export interface OwnFunctions {
  from: number;
  to: number;
  /** How many of those before `from` the rewriter added. */
  added: number;
}

const cut = (name: string): string => (name.length <= NAME_LENGTH_MAX ? name : `${name.slice(0, NAME_LENGTH_MAX).toWellFormed()}…`);

/** What Rust shows of a panic; all where it is none. */
function short(names: string[]): string[] {
  const from = names.findLastIndex((name) => END_OF_MACHINERY.test(name)) + 1;
  const behind = names.slice(from);
  const to = behind.findIndex((name) => BEGIN_OF_PROGRAM.test(name));
  return from === 0 || to === 0 || behind.length === 0 ? names : behind.slice(0, to < 0 ? behind.length : to);
}

/** ` in NAME, called by NAME, …`, innermost first, from the platform's own trace; empty where it shows none of the module's functions. */
export function backtraceOf({ stack = "" }: Error, { from, to, added }: OwnFunctions): string {
  const frames = stack.split("\n").flatMap((line) => {
    const [, name, number] = FRAME.exec(line) ?? [];
    const index = Number(number);
    return number === undefined || index < from || index >= to ? [] : [name === undefined ? `function ${index - added}` : rustName(name)];
  });
  const names = short(frames).slice(0, FRAMES_MAX).map(cut);
  return names.length === 0 ? "" : ` in ${names.join(", called by ")}`;
}
