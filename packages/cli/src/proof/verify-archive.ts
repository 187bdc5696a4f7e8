/**
 * `xeno verify` of a file of a market's archive: every receipt in it, one after the other, nothing of it on the disk. Who controls the
 * inputs: whoever handed over the file, every byte of it.
 */
import type { MarketPins, Witness } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { verifyReceipt, type Line } from "@xenoservers/verify";
import { green, print, printJson, red, say } from "../output/terminal.ts";
import { UserError, countOf } from "../output/ui.ts";
import { linesOf, type Ended } from "./archive-lines.ts";

export const isArchive = (file: string): boolean => file.endsWith(".ndjson.gz");

/** After so many that do not hold, nothing more is learned from the rest. */
const BROKEN_MAX = 1_000;

interface Verified {
  lease: string;
  ok: boolean;
  proved: number;
  claimed: number;
  failed: readonly Pick<Line, "check" | "says">[];
}

function verifyLine(line: string, pins: MarketPins, witnesses: readonly Witness[]): Verified {
  let receipt: unknown;
  try {
    receipt = JSON.parse(line);
  } catch {
    return { lease: "", ok: false, proved: 0, claimed: 0, failed: [{ check: "file", says: "a line of it is no JSON" }] };
  }
  const { ok, lines } = verifyReceipt(nodeCrypto, pins, receipt, { witnesses });
  const of = (status: Line["status"]) => lines.filter((each) => each.status === status);
  const lease = typeof receipt === "object" && receipt !== null && "lease" in receipt ? String(receipt.lease) : "";
  const failed = of("failed").map(({ check, says }) => ({ check, says }));
  return { lease, ok, proved: of("proved").length, claimed: of("claimed").length, failed };
}

function show({ lease, ok, proved, claimed, failed }: Verified): void {
  const why = failed.map(({ check, says }) => `${check}: ${says}`).join("; ");
  print(ok ? `${green("holds  ")}  ${lease}  ${proved} lines proved, ${claimed} claimed` : `${red("FAILED ")}  ${lease}  ${why}`);
}

/** Exit code 1 where a receipt does not hold, or the file is not whole. */
export async function verifyArchive(
  file: string,
  pins: MarketPins,
  { json, witnesses }: { json: boolean; witnesses: readonly Witness[] },
): Promise<void> {
  const ended: Ended = { problem: null };
  let [count, broken] = [0, 0];
  for await (const line of linesOf(file, ended)) {
    const verified = verifyLine(line, pins, witnesses);
    count++;
    if (!verified.ok) broken++;
    if (json) printJson(verified);
    else show(verified);
    if (broken >= BROKEN_MAX) {
      ended.problem = `${countOf(broken, "receipt")} do not hold: the rest was not looked at`;
      break;
    }
  }
  if (count === 0 && ended.problem !== null) throw new UserError(`${file} is no archive: ${ended.problem}`, 1);
  if (ended.problem !== null) say(`after ${countOf(count, "receipt")} the file is not whole: ${ended.problem}`);
  if (broken > 0 || ended.problem !== null) process.exitCode = 1;
  if (!json)
    say(broken === 0 ? `nothing in ${countOf(count, "receipt")} is wrong` : `${broken} of ${countOf(count, "receipt")} do NOT hold`);
}
