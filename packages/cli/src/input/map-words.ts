/**
 * The words after `xeno map`: the program, its arguments up to `--`, the inputs behind it; without a `--` all behind the program are
 * inputs. Who controls the words: whoever types; file systems, the names that a pattern finds.
 */
import { glob, stat } from "node:fs/promises";
import path from "node:path";
import type { Command } from "commander";
import { UserError } from "../output/ui.ts";
import { OTHER_MAP_WORDS } from "../table/other-map-words.ts";
import { optionOf, separated } from "./program-words.ts";

export const BETWEEN = "--";

const isArray = (argv: readonly string[]): boolean => argv.some((each) => each === "--array" || each.startsWith("--array="));

/** Throws UserError for an option that others have, with what it is here. */
function assertOurs({ options }: Command, argv: readonly string[]): void {
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i]!;
    // what stands behind the program is the program's
    if (!word.startsWith("-") || word === BETWEEN) return;
    const ours = optionOf(options, word);
    if (ours?.required && !word.includes("=")) i++;
    const [name = ""] = word.startsWith("--") ? word.split("=", 1) : [word.slice(0, 2)];
    const says = ours ? undefined : OTHER_MAP_WORDS.get(name);
    if (says !== undefined) throw new UserError(`${name} is no option here: ${says}`);
  }
}

/** Has the command read its words so: its own `--` comes first, so that the one that was typed is left standing. */
export function takesInputs(command: Command): void {
  const parse = command.parseOptions.bind(command);
  command.parseOptions = (argv) => {
    assertOurs(command, argv);
    const at = argv.indexOf(BETWEEN);
    // numbers are no words: all of these are the program's
    if (at < 0) return parse(isArray(argv) ? separated(command.options, argv) : argv);
    const before = separated(command.options, argv.slice(0, at));
    return parse([...before, ...(before.includes(BETWEEN) ? [] : [BETWEEN]), ...argv.slice(at)]);
  };
}

/** What was typed behind the program. */
export function argsAndInputs(words: readonly string[]): { args: string[]; inputs: string[] } {
  const at = words.indexOf(BETWEEN);
  return at < 0 ? { args: [], inputs: [...words] } : { args: words.slice(0, at), inputs: words.slice(at + 1) };
}

export const PLACE = "{}";
/** As GNU parallel has it: the input in place of each `{}`, or behind the arguments. */
export const argsFor = (args: readonly string[], input: string): string[] =>
  args.some((each) => each.includes(PLACE)) ? args.map((each) => each.replaceAll(PLACE, () => input)) : [...args, input];

const kindOf = async (name: string): Promise<string | null> => {
  const found = await stat(name).catch(() => null);
  return found && (found.isFile() ? "file" : found.isDirectory() ? "folder" : "other");
};
const isFile = async (name: string): Promise<boolean> => (await kindOf(name)) === "file";
const isPattern = (name: string): boolean => /[*?[{]/.test(name);

/** What a name has in place of bytes that are no text: no such file can be asked for here. */
const NO_TEXT = "\u{FFFD}";

async function notAFile(name: string): Promise<UserError> {
  if (name === ":::") return new UserError("write -- in place of :::, and :::: FILE as -- - < FILE");
  const kind = await kindOf(name);
  if (kind === "folder") return new UserError(`${name} is a folder: name the files in it, '${path.join(name, "*")}'`);
  if (kind !== null) return new UserError(`${name} is no file, and a job is given files`);
  if (name.includes(NO_TEXT)) return new UserError(`${name} cannot be named here: its name is not UTF-8; rename it`);
  return new UserError(`there is no file ${name}`);
}

/** Folders are passed over; what else is there and is no file would be missed by whoever counts on all of them. */
async function matching(pattern: string): Promise<string[]> {
  const names: string[] = [];
  for await (const name of glob(pattern)) {
    const kind = await kindOf(name);
    if (kind === "file") names.push(name);
    else if (kind !== "folder") throw await notAFile(name);
  }
  return names.toSorted();
}

async function found(typed: string): Promise<string[]> {
  // a file that is there is meant by its name, whatever letters are in it
  if (await isFile(typed)) return [typed];
  if (!isPattern(typed)) throw await notAFile(typed);
  const names = await matching(typed);
  if (names.length === 0) throw new UserError(`no file here is called as ${typed} says`);
  return names;
}

/** The files that are meant, patterns in place of which the shell has put no names included; each once, in the order of the words. */
export async function filesMeant(inputs: readonly string[]): Promise<string[]> {
  const all: string[] = [];
  for (const typed of inputs) all.push(...(await found(typed)));
  const files = [...new Set(all)];
  if (files.length === 0)
    throw new UserError("say which files to run it on: xeno map script.py -- 'data/*.csv', or pipe their names in: -- -");
  return files;
}

const NAMES_BYTES_MAX = 16 * 1024 * 1024;

/** As `find` prints them, one a line or behind each a NUL: each is a name, and never a pattern. */
export async function namesFrom(piped: AsyncIterable<Uint8Array>, isNulled: boolean): Promise<string[]> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of piped) {
    parts.push(part);
    bytes += part.length;
    if (bytes > NAMES_BYTES_MAX) throw new UserError("what is piped in is more than 16 MiB of names");
  }
  const names = Buffer.concat(parts)
    .toString("utf8")
    .split(isNulled ? "\0" : /\r?\n/)
    .filter((name) => name !== "");
  for (const name of names) if (!(await isFile(name))) throw await notAFile(name);
  if (names.length === 0) throw new UserError("no name was piped in: find data -name '*.csv' | xeno map script.py -- -");
  return [...new Set(names)];
}

/** What a file is called where only its job sees it. */
export const nameIn = (file: string): string => path.basename(file);

/** How people are told of which input something is: by its name alone, where no other has the same. */
export function shownAs(inputs: readonly string[]): (input: string) => string {
  const times = new Map<string, number>();
  for (const input of inputs) times.set(nameIn(input), (times.get(nameIn(input)) ?? 0) + 1);
  return (input) => (times.get(nameIn(input)) === 1 ? nameIn(input) : input);
}

/** Two files of one name would write to one folder. */
export function assertApart(files: readonly string[]): void {
  const known = new Map<string, string>();
  for (const file of files) {
    const other = known.get(nameIn(file));
    if (other !== undefined)
      throw new UserError(`${other} and ${file} would both come to DIR/${nameIn(file)}: leave out --out, or give them apart`);
    known.set(nameIn(file), file);
  }
}
