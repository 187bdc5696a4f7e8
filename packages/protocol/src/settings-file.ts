/**
 * Settings in TOML, read by a schema: every key has a default, an unknown one is an error, and what is wrong is said with its key, what was
 * found and what to do. Who controls the inputs: who may write the file, the owner of a machine or a market's operator.
 */
import { access, readFile } from "node:fs/promises";
import { isDeepStrictEqual } from "node:util";
import { TomlError, parse } from "smol-toml";
import * as z from "zod/mini";
import { inEnglish } from "./schema-words.ts";

inEnglish();

const TOML_LINES = 'a line is [section], key = value, or a comment behind #; words stand in "quotes", and a key stands once';

/** Where it cannot be read, what stands there, and what could. */
function unreadLine(text: string, cause: unknown): string {
  if (!(cause instanceof TomlError)) return (cause as Error).message;
  const line = (text.split("\n")[cause.line - 1] ?? "").trim();
  return `line ${cause.line} cannot be read: ${shortened(withoutPasswords(line)) || "it ends there"}; ${TOML_LINES}`;
}

/** Throws in words, with the name of the file. `known`: every key that there is, with its section. */
export function parseSettings<S extends z.core.$ZodType>(schema: S, known: readonly string[], text: string, file: string): z.output<S> {
  let value: unknown;
  try {
    value = parse(text);
  } catch (cause) {
    throw new Error(`${file} is not TOML: ${unreadLine(text, cause)}`, { cause });
  }
  const parsed = z.safeParse(schema, value);
  if (parsed.success) return parsed.data;
  throw new Error(`${file}: ${parsed.error.issues.flatMap((issue) => problemsOf(issue, value, known)).join("; ")}`);
}

const WHY_UNREAD: Readonly<Record<string, string>> = {
  EISDIR: "it is a folder: name the file in it",
  ENOTDIR: "what it should lie in is no folder",
  EACCES: "this user may not read it",
  EPERM: "this user may not read it",
  ELOOP: "it is a link that leads round in a circle",
};

/** A missing file means all defaults. */
export async function readSettings<S extends z.core.$ZodType>(schema: S, known: readonly string[], file: string): Promise<z.output<S>> {
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw new Error(`${file} cannot be read: ${WHY_UNREAD[error.code ?? ""] ?? error.message}`, { cause: error });
  });
  return parseSettings(schema, known, text, file);
}

/** One that has gone since it was read is no wish for all defaults. */
export async function assertStillThere(file: string): Promise<void> {
  await access(file).catch((cause: NodeJS.ErrnoException) => {
    const why =
      cause.code === "ENOENT"
        ? "is not there: an empty one has all defaults"
        : `cannot be read (${WHY_UNREAD[cause.code ?? ""] ?? cause.message})`;
    throw new Error(`${file} ${why}; nothing has changed`, { cause });
  });
}

/** Keys of a section, or of the whole, whose values differ. */
export function differing(before: object, after: object): string[] {
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return keys.filter((key) => !isDeepStrictEqual(Reflect.get(before, key), Reflect.get(after, key)));
}

const FOUND_CHARS_MAX = 60;

/** An address may hold a password where it should hold none. */
const withoutPasswords = (text: string): string => text.replace(/\/\/[^/@"]*@/g, "//…@");
const shortened = (text: string): string => (text.length > FOUND_CHARS_MAX ? `${text.slice(0, FOUND_CHARS_MAX)}…` : text);

/** What stands in the file at this place. */
function foundAt(value: unknown, path: readonly PropertyKey[]): string {
  const found = path.reduce<unknown>((at, key) => (typeof at === "object" && at !== null ? Reflect.get(at, key) : undefined), value);
  return shortened(withoutPasswords(typeof found === "bigint" ? String(found) : (JSON.stringify(found) ?? "nothing")));
}

/** Each names its key, what was found and what to do. */
function problemsOf(issue: z.core.$ZodIssue, value: unknown, known: readonly string[]): string[] {
  const path = issue.path.map(String);
  if (issue.code === "unrecognized_keys")
    return issue.keys.map((key) => {
      const name = [...path, key].join(".");
      const meant = nearestKey(name, known);
      return `${name.slice(0, FOUND_CHARS_MAX)}: there is no such key${meant === null ? "" : `; is ${meant} meant?`}`;
    });
  const found = `${foundAt(value, issue.path)}: `;
  // some say themselves which part of it they mean, and it may be all of it
  const whole = issue.message.startsWith(found) ? issue.message : found + issue.message;
  const said = issue.code === "invalid_key" ? (issue.issues[0]?.message ?? issue.message) : whole;
  return [`${path.join(".") || "the file"}: ${said}`];
}

/** How many letters have to be changed, added or left out. */
function distance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, i) => i);
  for (const [i, letter] of [...one].entries()) {
    const next = [i + 1];
    for (let j = 0; j < other.length; j++)
      next.push(Math.min((next[j] ?? 0) + 1, (row[j + 1] ?? 0) + 1, (row[j] ?? 0) + Number(letter !== other[j])));
    row = next;
  }
  return row[other.length] ?? 0;
}

const lastOf = (key: string): string => key.slice(key.lastIndexOf(".") + 1);
/** Longer names are no keys, and not worth comparing. */
const NAME_MAX = 64;

/** The key that was meant: the same name in another section, or one that differs in a few letters; null: none is near. */
function nearestKey(key: string, known: readonly string[]): string | null {
  const name = lastOf(key);
  if (name.length > NAME_MAX) return null;
  const elsewhere = known.find((each) => lastOf(each) === name);
  if (elsewhere) return elsewhere;
  const byDistance = known.map((each) => ({ each, far: distance(name, lastOf(each)) })).toSorted((a, b) => a.far - b.far);
  const [nearest] = byDistance;
  return nearest && nearest.far <= Math.max(2, Math.floor(name.length / 3)) ? nearest.each : null;
}
