/** What verifying says, for people and programs: a line each, and with `--explain` what it rests on, by which rules, in which numbers. */
import type { Line, ReceiptLine, ReceiptVerification, Verification } from "@xenoservers/verify";
import { shortId } from "@xenoservers/sdk";
import { dim, green, print, printJson, red, yellow } from "./terminal.ts";

const MARKS = { proved: green("proved "), claimed: yellow("claimed"), failed: red("FAILED ") };
const CHECK_WIDTH = 14;
const LABEL_WIDTH = 13;
const INDENT = " ".repeat(11);
/** Of more documents only the first and the last are shown; `--json` has all. */
const SHOWN_MAX = 8;
const SHOWN_ENDS = 3;

export const lineText = ({ status, check, says }: Line): string => `${MARKS[status]}  ${check.padEnd(CHECK_WIDTH)} ${says}`;

type Rest = ReceiptLine["documents"][number];

function restText({ kind, id, by, index }: Rest): string {
  const place = index === null ? yellow("outside the log") : `leaf ${index}`;
  return id === null ? `${kind} ${yellow("left out")} (${by})` : `${kind.padEnd(14)} ${shortId(id)}  by ${by}, ${place}`;
}

/** Of many, the ends. */
function ends(texts: readonly string[]): string[] {
  if (texts.length <= SHOWN_MAX) return [...texts];
  const between = `… ${texts.length - 2 * SHOWN_ENDS} more`;
  return [...texts.slice(0, SHOWN_ENDS), between, ...texts.slice(-SHOWN_ENDS)];
}

const row = (label: string, text: string): string => `${INDENT}${dim(label.padEnd(LABEL_WIDTH))} ${text}`;
const rows = (label: string, texts: readonly string[]): string[] => texts.map((text, i) => row(i === 0 ? label : "", text));

/** These speak of every document of the file. */
const OF_ALL: readonly string[] = ["signatures", "log"];

function explained({ check, rules, documents, computed }: ReceiptLine): string[] {
  const facts = documents.filter(({ grant }) => !grant);
  const roles = documents.filter(({ grant }) => grant);
  const all = OF_ALL.includes(check);
  return [
    row("rules", `${rules.join(", ")} of docs/protocol.md`),
    ...(all ? rows("rests on", ["all documents of the file"]) : []),
    ...(all ? [] : rows("rests on", ends(facts.map(restText)))),
    ...(all ? [] : rows("roles by", ends(roles.map(restText)))),
    ...computed.map(({ what, is, how }) => row(what, `${is}  ${dim(how)}`)),
  ];
}

const isOfReceipt = (verification: Verification | ReceiptVerification): verification is ReceiptVerification => "whose" in verification;

function whoseText({ whose }: ReceiptVerification): string[] {
  if (!whose) return [];
  const { market, customer, owner, server, yours } = whose;
  return [
    row("market", market),
    row("customer", `${customer}${yours.order ? " (you)" : ""}`),
    row("owner", `${owner}${yours.offer ? " (you)" : ""}, server ${server}`),
  ];
}

/** How much of it is proved: a file in which nothing is wrong may prove nothing. */
function summary({ ok, lines }: Verification, file: string): string {
  if (!ok) return `${file} does NOT hold: see the failed line`;
  const count = (status: Line["status"]): number => lines.filter((line) => line.status === status).length;
  const claims = count("claimed");
  const rest = claims === 0 ? "" : `; ${claims} claimed: one party's word, or resting on what the log does not hold`;
  return `nothing in ${file} is wrong: ${count("proved")} lines proved${rest}`;
}

/** Exit code 1 where it does not hold. */
export function showVerification(
  verification: Verification | ReceiptVerification,
  file: string,
  { json, explain }: { json: boolean; explain: boolean },
): void {
  if (!verification.ok) process.exitCode = 1;
  if (json) return printJson({ ...verification, file });
  for (const line of verification.lines) {
    print(lineText(line));
    if (!explain || !("rules" in line)) continue;
    if (line.check === "purchase order" && isOfReceipt(verification)) whoseText(verification).forEach((text) => print(text));
    explained(line).forEach((text) => print(text));
  }
  print(summary(verification, file));
}
