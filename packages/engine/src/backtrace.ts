/** Where a guest trapped, in its own functions' names. Who controls the names: the customer; whoever shows them makes them visible. */

const FRAMES_MAX = 8;
const FRAME = /^ +at (?:(.+) \()?wasm:\/\/wasm\/[^ :]*:wasm-function\[(\d+)\]:0x[0-9a-f]+\)?$/;

/** Indexes in the rewritten module of the first function that is the module's own, and of the first behind them. */
export interface OwnFunctions {
  from: number;
  to: number;
  /** How many of those before `from` the rewriter added. */
  added: number;
}

/** ` in NAME, called by NAME, …`, innermost first, from the platform's own trace; empty where it shows none of the module's functions. */
export function backtraceOf({ stack = "" }: Error, { from, to, added }: OwnFunctions): string {
  const frames = stack.split("\n").flatMap((line) => {
    const [, name, number] = FRAME.exec(line) ?? [];
    const index = Number(number);
    return number === undefined || index < from || index >= to ? [] : [name ?? `function ${index - added}`];
  });
  const shown = frames.slice(0, FRAMES_MAX);
  return shown.length === 0 ? "" : ` in ${shown.join(", called by ")}`;
}
