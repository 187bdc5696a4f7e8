/**
 * `xeno verify` of a file of a market's archive: every receipt in it, one after the other. Who controls the inputs: whoever handed over the
 * file, every byte of it. Bounds: one receipt in memory, of so many characters.
 */
import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import type { MarketPins, Witness } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { verifyReceipt, type Line } from "@xenoservers/verify";
import { green, print, printJson, red, say } from "../output/terminal.ts";
import { UserError, countOf } from "../output/ui.ts";

const LINE_CHARS_MAX = 256 * 1024 * 1024;

export const isArchive = (file: string): boolean => file.endsWith(".ndjson.gz");

interface Ended {
  /** In words, where the file is no whole one. */
  problem: string | null;
}

/** The lines of the file; `ended` says how it ended. */
async function* linesOf(file: string, ended: Ended): AsyncGenerator<string, void> {
  const unpacked = createGunzip().setEncoding("utf8");
  const reading = pipeline(createReadStream(file), unpacked);
  reading.catch(() => {}); // told below
  let rest: string[] = [];
  let chars = 0;
  try {
    for await (const text of unpacked) {
      const [first = "", ...lines] = String(text).split("\n");
      rest.push(first);
      chars += first.length;
      for (const line of lines) {
        yield rest.join("");
        [rest, chars] = [[line], line.length];
      }
      if (chars > LINE_CHARS_MAX) throw new Error("a receipt in it is too long");
    }
    await reading;
    if (chars > 0) throw new Error("its last line is cut off");
  } catch (error) {
    ended.problem = error instanceof Error ? error.message : String(error);
  } finally {
    unpacked.destroy();
  }
}

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
  }
  if (count === 0 && ended.problem !== null) throw new UserError(`${file} is no archive: ${ended.problem}`, 1);
  if (ended.problem !== null) say(`after ${countOf(count, "receipt")} the file is not whole: ${ended.problem}`);
  if (broken > 0 || ended.problem !== null) process.exitCode = 1;
  if (!json)
    say(broken === 0 ? `nothing in ${countOf(count, "receipt")} is wrong` : `${broken} of ${countOf(count, "receipt")} do NOT hold`);
}
