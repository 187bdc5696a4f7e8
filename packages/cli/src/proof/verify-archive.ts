/**
 * `xeno verify` of a file of a market's archive: every receipt in it, one after the other. Who controls the inputs: whoever handed over the
 * file, every byte of it.
 */
import type { MarketPins, Witness } from "@xenoservers/protocol";
import { InputError, archivedRows, checkedReceipts, isOfRows, type CheckedReceipt } from "@xenoservers/sdk";
import { green, print, printJson, red, say } from "../output/terminal.ts";
import { UserError, countOf } from "../output/ui.ts";

function show({ lease, ok, proved, claimed, failed }: CheckedReceipt): void {
  const why = failed.map(({ check, says }) => `${check}: ${says}`).join("; ");
  print(ok ? `${green("holds  ")}  ${lease}  ${proved} lines proved, ${claimed} claimed` : `${red("FAILED ")}  ${lease}  ${why}`);
}

/** Calls with each; in words, why the file is not whole, or null. */
async function each<T>(lines: AsyncIterable<T>, call: (line: T) => void): Promise<string | null> {
  try {
    for await (const line of lines) call(line);
    return null;
  } catch (error) {
    if (error instanceof InputError) return error.message;
    throw error;
  }
}

/** A file of rows: whole, and what its broker wrote. Nothing in it is signed: what is proved of a lease stands in its receipt. */
async function verifyRows(file: string, json: boolean): Promise<void> {
  let count = 0;
  const problem = await each(archivedRows(file), (row) => {
    count++;
    if (json) printJson(row);
    else print(`row      ${row.lease}  ${row.state}`);
  });
  if (problem !== null) {
    process.exitCode = 1;
    return say(`after ${countOf(count, "row")} the file is not whole: ${problem}`);
  }
  if (!json) say(`${countOf(count, "row")}, as their broker wrote them; nothing in a row is signed: receipts prove a lease`);
}

/** Exit code 1 where a receipt does not hold, or the file is not whole. */
export async function verifyArchive(
  file: string,
  pins: MarketPins,
  { json, witnesses }: { json: boolean; witnesses: readonly Witness[] },
): Promise<void> {
  if (isOfRows(file)) return verifyRows(file, json);
  let [count, broken] = [0, 0];
  const problem = await each(checkedReceipts(file, pins, witnesses), (receipt) => {
    count++;
    if (!receipt.ok) broken++;
    if (json) printJson(receipt);
    else show(receipt);
  });
  if (count === 0 && problem !== null) throw new UserError(`${file} is no archive: ${problem}`, 1);
  if (problem !== null) say(`after ${countOf(count, "receipt")} the file is not whole: ${problem}`);
  if (broken > 0 || problem !== null) process.exitCode = 1;
  if (!json)
    say(broken === 0 ? `nothing in ${countOf(count, "receipt")} is wrong` : `${broken} of ${countOf(count, "receipt")} do NOT hold`);
}
