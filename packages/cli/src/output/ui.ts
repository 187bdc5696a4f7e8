/** How the command line puts things: money, times, sizes, tables, refusals. */
import { formatMoney } from "@xenoservers/market";
import { ERROR_CODES, dateText, visible, type Refusal } from "@xenoservers/protocol";
import { InputError } from "@xenoservers/sdk";
import Table from "cli-table3";
import { stepsFor } from "./exclusions.ts";
import { EXIT } from "./exit.ts";
import { asRecords, fitted } from "./fit.ts";
import { print } from "./terminal.ts";

/** An error whose message is for the person at the terminal, cause and next step included. */
export class UserError extends InputError {
  override name = "UserError";
  readonly exitCode: number;
  constructor(message: string, exitCode: number = EXIT.xeno) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** Money with its currency; nanos or their decimal string. */
export const money = (nanos: bigint | string, currency = "credits"): string => `${formatMoney(BigInt(nanos))} ${currency}`;
export const countOf = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`;

export function duration(ms: number): string {
  if (ms < 1_000) return `${ms} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  const minutes = Math.floor(ms / 60_000);
  return minutes < 60 ? `${minutes} min ${Math.floor((ms % 60_000) / 1_000)} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

type TimeFormat = "short" | "iso";
let timeFormat: TimeFormat = "short";
/** How all times are put from now on: of one command everything alike. */
export function putTimesAs(format: TimeFormat): void {
  timeFormat = format;
}

/** To the second, and said to be in UTC: a bare time is read as one's own. */
const shortDate = (ms: number): string =>
  dateText(ms)
    .replace("T", " ")
    .replace(/\.\d+Z$/, "Z");
export const when = (ms: number): string => (timeFormat === "iso" ? dateText(ms) : shortDate(ms));

const MINUTE_MS = 60_000;
const AGES = [
  [24 * 60 * MINUTE_MS, "d"],
  [60 * MINUTE_MS, "h"],
  [MINUTE_MS, "min"],
] as const;

/** How long ago that was: what people ask of a list; the moment itself is in `--time-format iso` and `--json`. */
export function ago(ms: number, now: number): string {
  if (timeFormat === "iso") return dateText(ms);
  const [unitMs, unit] = AGES.find(([each]) => now - ms >= each) ?? [0, ""];
  return unitMs === 0 ? "now" : `${Math.floor((now - ms) / unitMs)} ${unit} ago`;
}

/** The same of what is still to come. */
export function ahead(ms: number, now: number): string {
  if (timeFormat === "iso") return dateText(ms);
  const past = ago(now, ms);
  return ms <= now ? ago(ms, now) : past === "now" ? "in a moment" : `in ${past.replace(" ago", "")}`;
}

/** Rows fit a terminal; whoever reads them from a pipe has them whole. */
export function table(titles: string[], rows: (string | number)[][]): void {
  const all = [titles, ...rows.map((row) => row.map((cell) => visible(String(cell))))];
  // some terminals say that they have no columns
  const fits = fitted(all, (process.stdout.isTTY && process.stdout.columns) || Infinity);
  if (!fits) return print(...asRecords(all));
  const [head = [], ...cells] = fits.rows;
  const grid = new Table({
    head,
    style: { head: [], border: [], compact: true, ...(fits.tight ? { "padding-left": 0, "padding-right": 0 } : {}) },
    chars: {
      top: "",
      "top-mid": "",
      "top-left": "",
      "top-right": "",
      bottom: "",
      "bottom-mid": "",
      "bottom-left": "",
      "bottom-right": "",
      left: "",
      "left-mid": "",
      mid: "",
      "mid-mid": "",
      right: "",
      "right-mid": "",
      middle: "  ",
    },
  });
  grid.push(...cells);
  // the widest cell of the last column would have every line end in blanks
  print(
    ...grid
      .toString()
      .split("\n")
      .map((line) => line.trimEnd()),
  );
}

/** Said in lines of their own, or in the code's own words. */
const TOLD_APART: ReadonlySet<string> = new Set(["excluded", "explanation", "why", "requestId"]);
const EPOCH_MS = 1_000_000_000_000;
const NANOS = /^-?\d{1,40}$/;

/** What JSON makes an object of may have no text of its own. */
const plain = (fact: Refusal["facts"][string] | undefined): string =>
  typeof fact === "object" && fact !== null ? JSON.stringify(fact) : String(fact);

function factText(key: string, value: Refusal["facts"][string]): string {
  if (typeof value === "string" && key.endsWith("Nanos") && NANOS.test(value)) return `${key.slice(0, -"Nanos".length)} ${money(value)}`;
  if (typeof value === "number" && value > EPOCH_MS) return `${key} ${when(value)}`;
  return `${key} ${plain(value)}`;
}

function factsText(facts: Refusal["facts"]): string {
  return Object.entries(facts)
    .filter(([key, value]) => !TOLD_APART.has(key) && value !== null)
    .map(([key, value]) => factText(key, value))
    .join(", ");
}

/** A key that lacks what was asked of it: what it may do, and where another comes from. */
function keyLines({ facts }: Refusal): string[] {
  const what = facts["kind"] === undefined ? "this" : `a document of kind ${plain(facts["kind"])}`;
  const may =
    typeof facts["scopes"] === "string" && facts["scopes"] !== "" ? ` may only ${facts["scopes"].replaceAll(" ", ", ")}` : " may not do it";
  const lacks = `${what} takes another key: the ${plain(facts["role"])} key of this context${may}`;
  return [`key_not_allowed: ${lacks}`, "  use another (xeno context use NAME), or have one granted: xeno token create --scopes …"];
}

/** Programs look facts up by name; people read them below. */
const forPeople = (says: string): string =>
  says.replace(/; see `\w+`(?:(?: (?:and|or) `\w+`)?$|, then(?= ))/, (all) => (all.endsWith("then") ? ";" : ""));

export function describeRefusal(refusal: Refusal): string[] {
  // without a role it is not for the scopes that it was refused: its reason says what else there is
  if (refusal.code === "key_not_allowed" && refusal.facts["role"] !== undefined) return keyLines(refusal);
  const { says, blame } = ERROR_CODES[refusal.code];
  const { explanation, why, requestId } = refusal.facts;
  const facts = factsText(refusal.facts);
  // by it the operator finds what failed
  const request = blame === "broker" && requestId !== undefined ? `(request ${plain(requestId)})` : "";
  const steps = stepsFor(refusal.facts["excluded"], refusal.code === "no_match");
  const lines = [explanation, why, facts && `(${facts})`, request, ...steps].filter((line) => line !== undefined && line !== "");
  return [`${refusal.code}: ${forPeople(says)}`, ...lines.map((line) => `  ${plain(line)}`)];
}

/** 5_500_000_000n → "5.50 Gfuel". */
export function gigaFuel(fuel: bigint): string {
  const hundredths = fuel / 10_000_000n;
  if (hundredths >= 10_000n) return `${hundredths / 100n} Gfuel`;
  return hundredths === 0n && fuel > 0n ? `${fuel} fuel` : `${hundredths / 100n}.${String(hundredths % 100n).padStart(2, "0")} Gfuel`;
}
