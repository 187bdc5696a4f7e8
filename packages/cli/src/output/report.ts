/** An error as people or programs are told of it, and the exit code that goes with it. */
import { ERROR_CODES } from "@xenoservers/protocol";
import { BrokenPurchaseOrder, RefusedError } from "@xenoservers/sdk";
import { keepBroken } from "./broken-order.ts";
import { dim, printJson, red, say } from "./terminal.ts";
import { EXIT, UserError, describeRefusal } from "./ui.ts";

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

async function tell(error: unknown): Promise<Told> {
  if (error instanceof BrokenPurchaseOrder) return tellBroken(error);
  if (error instanceof RefusedError) {
    const { code, facts } = error.refusal;
    return { json: { code, ...facts, says: ERROR_CODES[code].says }, says: describeRefusal(error.refusal), exitCode: EXIT.xeno };
  }
  const says = error instanceof Error ? error.message : String(error);
  return { json: { code: "failed", says }, says: [says], exitCode: error instanceof UserError ? error.exitCode : EXIT.xeno };
}

/** Prints an error as `--json` or for people; returns the exit code. */
export async function reportError(error: unknown, json: boolean): Promise<number> {
  const { json: told, says, exitCode } = await tell(error);
  if (json) printJson({ error: told });
  else say(`${red("error")}: ${says[0] ?? ""}`, ...says.slice(1));
  const ours = !(error instanceof UserError || error instanceof RefusedError || error instanceof BrokenPurchaseOrder);
  if (!json && ours && error instanceof Error && process.env["XENO_DEBUG"] !== undefined) say(...(error.stack ?? "").split("\n").map(dim));
  return exitCode;
}
