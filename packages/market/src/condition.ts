/**
 * Conditions on servers: what a customer types (`cpu>=2 mem>=4G region=eu price<0.05`) and what an order carries. One meaning in both
 * places. Who controls the inputs: the customer (conditions), the owner (the offer's labels).
 */
import { HOLDS } from "./holds.ts";
import { parseMoney } from "./money.ts";

export const OPERATORS = ["<=", ">=", "!=", "<", ">", "="] as const;
export type Operator = (typeof OPERATORS)[number];

export interface Condition {
  key: string;
  op: Operator;
  value: string;
}

/** What a condition can see of an offer. `label` values are the owner's claims; `priceNanosPerHour` is for the resources asked for. */
export interface Subject {
  vcpu: number;
  memoryMib: number;
  diskMib: number;
  priceNanosPerHour: bigint;
  cpuScore: number;
  vmScore: number;
  accel: string;
  limits: string;
  /** Of guests of the driver that is asked for. */
  holds: readonly string[];
  /** Whether it fetches images from addresses. */
  fetches: boolean;
  driver: readonly string[];
  assurance: readonly string[];
  sandbox: string;
  owner: string;
  server: string;
  labels: Readonly<Record<string, string>>;
}

type Reading =
  | { kind: "number"; value: (s: Subject) => number; parse: (text: string) => number | null }
  | { kind: "money" }
  /** `known`: what a value must be one of, where that is a closed list. */
  | { kind: "set"; value: (s: Subject) => readonly string[]; known?: readonly string[] };

const count = (text: string): number | null => (/^\d{1,9}(\.\d{1,3})?$/.test(text) ? Number(text) : null);

/** `4G`, `512M`, `1.5GiB`; a bare number is MiB. */
export function parseMib(text: string): number | null {
  const match = /^(\d{1,9}(?:\.\d{1,3})?)([MGT]?)(?:i?B)?$/i.exec(text);
  if (!match) return null;
  const factor = { "": 1, M: 1, G: 1024, T: 1024 * 1024 }[match[2]!.toUpperCase()]!;
  return Math.ceil(Number(match[1]) * factor);
}

const READINGS: Record<string, Reading> = {
  cpu: { kind: "number", value: (s) => s.vcpu, parse: count },
  mem: { kind: "number", value: (s) => s.memoryMib, parse: parseMib },
  disk: { kind: "number", value: (s) => s.diskMib, parse: parseMib },
  score: { kind: "number", value: (s) => s.cpuScore, parse: count },
  vmscore: { kind: "number", value: (s) => s.vmScore, parse: count },
  accel: { kind: "set", value: (s) => [s.accel] },
  limits: { kind: "set", value: (s) => [s.limits] },
  holds: { kind: "set", value: (s) => s.holds, known: HOLDS },
  fetches: { kind: "set", value: (s) => [s.fetches ? "yes" : "no"], known: ["yes", "no"] },
  price: { kind: "money" },
  driver: { kind: "set", value: (s) => s.driver },
  assurance: { kind: "set", value: (s) => s.assurance },
  sandbox: { kind: "set", value: (s) => [s.sandbox] },
  owner: { kind: "set", value: (s) => [s.owner] },
  server: { kind: "set", value: (s) => [s.server] },
};

/** Keys every market knows; `region` and `label.NAME` read the owner's labels. */
const CONDITION_KEYS = [...Object.keys(READINGS), "region", "label.NAME"];

const labelName = (key: string): string | null =>
  key === "region" ? "region" : /^label\.[a-z0-9-]{1,32}$/.test(key) ? key.slice("label.".length) : null;

type ConditionRefusal = { ok: false; code: "bad_condition"; condition: string; why: string };
type ParsedConditions = { ok: true; conditions: Condition[] } | ConditionRefusal;

function problemWith({ key, op, value }: Condition): string | null {
  const reading = READINGS[key];
  if (reading?.kind === "number") return reading.parse(value) === null ? `'${value}' is not a number of ${key}` : null;
  if (reading?.kind === "money") return parseMoney(value) === null ? `'${value}' is not an amount, write 0.05 (per hour)` : null;
  if (reading?.kind !== "set" && labelName(key) === null) return `unknown key '${key}'; known keys: ${CONDITION_KEYS.join(", ")}`;
  if (op !== "=" && op !== "!=") return `'${key}' can only be compared with = or !=`;
  if (reading?.kind === "set" && reading.known && !reading.known.includes(value))
    return `'${value}' is none of ${key}: ${reading.known.join(", ")}`;
  return /^[A-Za-z0-9._:-]{1,64}$/.test(value) ? null : `'${value}' is not a name`;
}

/** Checks conditions that came over the wire. */
export function checkConditions(conditions: readonly Condition[]): ConditionRefusal | null {
  for (const condition of conditions) {
    const why = problemWith(condition);
    if (why) return { ok: false, code: "bad_condition", condition: formatCondition(condition), why };
  }
  return null;
}

/** Reads what a person types: conditions apart by blanks or commas. */
export function parseConditions(text: string): ParsedConditions {
  const conditions: Condition[] = [];
  for (const word of text.split(/[\s,]+/).filter(Boolean)) {
    const match = /^([A-Za-z0-9._-]+?)(<=|>=|!=|<|>|=)(.+)$/.exec(word);
    if (!match)
      return { ok: false, code: "bad_condition", condition: word, why: "write KEY, one of < <= = != >= >, and a value, without blanks" };
    conditions.push({ key: match[1]!.toLowerCase(), op: match[2] as Operator, value: match[3]! });
  }
  return checkConditions(conditions) ?? { ok: true, conditions };
}

export function formatCondition({ key, op, value }: Condition): string {
  return `${key}${op}${value}`;
}

function compare<T extends number | bigint>(left: T, op: Operator, right: T): boolean {
  switch (op) {
    case "<":
      return left < right;
    case "<=":
      return left <= right;
    case ">":
      return left > right;
    case ">=":
      return left >= right;
    case "=":
      return left === right;
    case "!=":
      return left !== right;
  }
}

/** Whether the subject meets the (already checked) condition. An unknown key never does. */
export function meets(subject: Subject, condition: Condition): boolean {
  const { key, op, value } = condition;
  const reading = READINGS[key];
  if (reading?.kind === "number") {
    const wanted = reading.parse(value);
    return wanted !== null && compare(reading.value(subject), op, wanted);
  }
  if (reading?.kind === "money") {
    const wanted = parseMoney(value);
    return wanted !== null && compare(subject.priceNanosPerHour, op, wanted);
  }
  const label = labelName(key);
  const values =
    reading?.kind === "set"
      ? reading.value(subject)
      : label !== null && Object.hasOwn(subject.labels, label)
        ? [subject.labels[label]!]
        : [];
  return op === "=" ? values.includes(value) : !values.includes(value);
}

/** The resources a search implies: the least that each `>`/`>=`/`=` condition on cpu, mem, disk asks for, or the default job's size. */
export function impliedResources(conditions: readonly Condition[], fallback: { vcpu: number; memoryMib: number; diskMib: number }) {
  const least = (key: string, otherwise: number): number =>
    conditions
      .filter((c) => c.key === key && (c.op === ">=" || c.op === ">" || c.op === "="))
      .reduce((most, c) => Math.max(most, (key === "cpu" ? count(c.value) : parseMib(c.value)) ?? 0), 0) || otherwise;
  return {
    vcpu: Math.ceil(least("cpu", fallback.vcpu)),
    memoryMib: least("mem", fallback.memoryMib),
    diskMib: least("disk", fallback.diskMib),
  };
}
