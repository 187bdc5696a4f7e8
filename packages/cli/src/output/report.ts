/** An error as people or programs are told of it, and the exit code that goes with it. */
import { ERROR_CODES } from "@xenoservers/protocol";
import {
  BrokenPurchaseOrder,
  ContextError,
  GuestFileError,
  InputError,
  InUseError,
  KeptError,
  MarketError,
  RefusedError,
  keepBroken,
} from "@xenoservers/sdk";
import * as z from "zod/mini";

import { dim, printJson, red, say } from "./terminal.ts";
import { EXIT } from "./exit.ts";
import { UnwrittenOutput } from "./leave.ts";
import { UserError, describeRefusal } from "./ui.ts";

interface Told {
  json: Record<string, unknown>;
  /** A line each. */
  says: readonly string[];
  exitCode: number;
}

/** What the broker tried is said in words, and what it signed is kept. */
async function tellBroken(error: BrokenPurchaseOrder): Promise<Told> {
  const file = await keepBroken(error).catch(() => null);
  const kept = file === null ? "it could not be kept" : `what it signed is kept: xeno verify ${file}`;
  return {
    json: { code: "broken_purchase_order", why: error.why, evidence: file, says: error.message },
    says: [error.message, `  the lease was stopped; ${kept}`],
    exitCode: EXIT.broken,
  };
}

/** Something that was read is not what it should be: where in it, and why. */
function wrongPart({ issues: [first] }: z.core.$ZodError): string {
  return `what was read is not what was expected: ${first?.path.join(".") ?? ""}: ${first?.message ?? "it is malformed"}`;
}

/** Of these the words alone are for people: they say what to do. */
const isSaid = (error: unknown): boolean => [InputError, ContextError, InUseError, KeptError].some((kind) => error instanceof kind);

function exitCodeOf(error: unknown): number {
  if (error instanceof KeptError) return EXIT.mismatch;
  return error instanceof UserError ? error.exitCode : EXIT.xeno;
}

async function tell(error: unknown): Promise<Told> {
  if (error instanceof BrokenPurchaseOrder) return tellBroken(error);
  if (error instanceof RefusedError) {
    const { code, facts } = error.refusal;
    return { json: { code, ...facts, says: ERROR_CODES[code].says }, says: describeRefusal(error.refusal), exitCode: EXIT.xeno };
  }
  const says = error instanceof z.core.$ZodError ? wrongPart(error) : error instanceof Error ? error.message : String(error);
  const tabled = error instanceof MarketError && !isSaid(error) ? error : null;
  const code = tabled?.code ?? "failed";
  const next = tabled ? tabled.next : isSaid(error) ? null : nextStep(error);
  const [first, ...more] = isSaid(error) ? [says] : says.split("\n").filter((line) => line.trim() !== "");
  return {
    json: { code, says },
    says: [first ?? "it failed", ...[...more, ...(next === null ? [] : [next])].map((line) => `  ${line}`)],
    exitCode: exitCodeOf(error),
  };
}

/** What to do about what this machine refuses. */
const NEXT: ReadonlyMap<unknown, string> = new Map(
  Object.entries({
    ENOSPC: "there is no room left: free some, or use another folder (--data, XENO_HOME)",
    EDQUOT: "your quota is used up: free some, or use another folder (--data, XENO_HOME)",
    EFBIG: "a file may not be so large here: raise `ulimit -f`, or use another folder (--data, XENO_HOME)",
    EROFS: "it cannot be written there: use another folder (--data, XENO_HOME)",
    EACCES: "this user may not do that: look at who owns it, or use another folder (--data, XENO_HOME)",
    EADDRINUSE: "another program listens there: choose another --port, or end that one",
    EADDRNOTAVAIL: "this machine has no such address: choose another --host",
    ECONNREFUSED: "nothing answers there: is the broker running, and is its address right (xeno context ls)?",
    ENOTFOUND: "no such name: is the address right (xeno context ls)?",
    EMFILE: "too many files are open: raise `ulimit -n`",
  }),
);
const GUEST_IS_FULL = "the machine's disk is full: free some there, or order one with more --disk";
const OUTPUT_HAS_NO_PLACE = "look at where standard output goes: a file on a disk that is full, or a device that takes nothing";
const OTHERWISE = "this is a fault of xeno itself; XENO_DEBUG=1 shows where: please report it";

/** Of these names only this program's own mistakes are. */
const BUGS: readonly string[] = ["TypeError", "RangeError", "ReferenceError", "SyntaxError", "InvariantError", "AssertionError"];

/** Of an error and what it came from, the first that says what to do; null where its own words do. */
function nextStep(error: unknown): string | null {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof UnwrittenOutput) return OUTPUT_HAS_NO_PLACE;
    // a machine's own words are of its disk
    if (cause instanceof GuestFileError) return /no space left on device/i.test(cause.message) ? GUEST_IS_FULL : null;
    const step = "code" in cause ? NEXT.get(cause.code) : undefined;
    if (step !== undefined) return step;
    // another program's words, or end
    if (/no space left on device/i.test(cause.message)) return NEXT.get("ENOSPC") ?? null;
    if (/\bSIGXFSZ\b/.test(cause.message)) return NEXT.get("EFBIG") ?? null;
  }
  return error instanceof Error && !BUGS.includes(error.name) ? null : OTHERWISE;
}

/** Prints an error as `--json` or for people; returns the exit code. */
export async function reportError(error: unknown, json: boolean): Promise<number> {
  const { json: told, says, exitCode } = await tell(error);
  if (json) printJson({ error: told });
  else say(`${red("error")}: ${says[0] ?? ""}`, ...says.slice(1));
  const ours = !(isSaid(error) || error instanceof RefusedError || error instanceof BrokenPurchaseOrder);
  if (!json && ours && error instanceof Error && process.env["XENO_DEBUG"] !== undefined) say(...(error.stack ?? "").split("\n").map(dim));
  return exitCode;
}
