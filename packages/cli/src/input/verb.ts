/**
 * Verbs as data: the words and options of each, and how every one of them is read, once, at the edge. What reaches a verb's code is typed
 * and checked; the code itself is loaded when its verb is used. Who controls the inputs: whoever types.
 */
import { Command, Option as Flag } from "commander";

/** One option, and how what was typed is read. */
export interface Opt<T> {
  flag: Flag;
  read(raw: unknown): T;
}

/** One word behind the verb: `<one>`, `[maybe]` or `[rest...]`. */
export interface Word<T> {
  form: (name: string) => string;
  read(raw: unknown, name: string): T;
}

type Parse<T> = (text: string, option: string) => T;

const stringIn = (raw: unknown): string | null => (typeof raw === "string" ? raw : null);
const stringsIn = (raw: unknown): string[] => (Array.isArray(raw) ? raw.map(String) : []);

export const flag = (flags: string, says: string): Opt<boolean> => ({ flag: new Flag(flags, says), read: (raw) => raw === true });

/** The other side of a flag of the same name, declared before it: true where it was typed. */
export const negation = (flags: `--no-${string}`, says: string): Opt<boolean> => ({
  flag: new Flag(flags, says),
  read: (raw) => raw === false,
});

/** A value that may be left out. */
export const value = <T>(flags: string, says: string, parse: Parse<T>): Opt<T | null> => {
  const made = new Flag(flags, says);
  return {
    flag: made,
    read(raw) {
      const text = stringIn(raw);
      return text === null ? null : parse(text, made.long ?? flags);
    },
  };
};

/** Said in help, never put in by commander: what is read is what was typed. */
const withDefault = (says: string, otherwise: string): string => (otherwise === "" ? says : `${says} (default: ${otherwise})`.trim());

/** A value with one that holds where nothing is said. */
export const valueOr = <T>(flags: string, says: string, otherwise: string, parse: Parse<T>): Opt<T> => {
  const made = new Flag(flags, withDefault(says, otherwise));
  return { flag: made, read: (raw) => parse(stringIn(raw) ?? otherwise, made.long ?? flags) };
};

const asTyped = (text: string): string => text;
export const text = (flags: string, says: string): Opt<string | null> => value(flags, says, asTyped);
export const textOr = (flags: string, says: string, otherwise: string): Opt<string> => valueOr(flags, says, otherwise, asTyped);

/** A value without which the verb is refused. */
export const needed = (flags: string, says: string): Opt<string> => ({ flag: new Flag(flags, says).makeOptionMandatory(), read: String });

/** One of these; commander refuses others. */
export function choice<const C extends string>(flags: string, says: string, choices: readonly C[]): Opt<C | null> {
  return { flag: new Flag(flags, says).choices(choices), read: (raw) => choices.find((each) => each === raw) ?? null };
}
export function choiceOr<const C extends string>(flags: string, says: string, choices: readonly C[], otherwise: NoInfer<C>): Opt<C> {
  const made = new Flag(flags, withDefault(says, otherwise)).choices(choices);
  return { flag: made, read: (raw) => choices.find((each) => each === raw) ?? otherwise };
}

/** May be given again and again. */
export const many = (flags: string, says: string): Opt<string[]> => ({
  flag: new Flag(flags, says).argParser((each: string, before: unknown) => [...stringsIn(before), each]),
  read: stringsIn,
});

/** Of an option whose value is a list: typed again, it adds to what was typed before, in place of being all of it. */
export function adding<T>(option: Opt<T>, separator: "," | " "): Opt<T> {
  option.flag.argParser((each: string, before: unknown) => [...(typeof before === "string" ? [before] : []), each].join(separator));
  return option;
}

export const wordAs = <T>(parse: Parse<T>): Word<T> => ({ form: (name) => `<${name}>`, read: (raw, name) => parse(String(raw), name) });
export const word: Word<string> = wordAs(asTyped);
export const maybe: Word<string | null> = { form: (name) => `[${name}]`, read: stringIn };
export const wordsAs = <T>(parse: (text: string) => T): Word<T[]> => ({
  form: (name) => `[${name}...]`,
  read: (raw) => stringsIn(raw).map(parse),
});
export const rest: Word<string[]> = wordsAs(asTyped);
export const words: Word<string[]> = { form: (name) => `<${name}...>`, read: stringsIn };

type Words = Readonly<Record<string, Word<unknown>>>;
type Opts = Readonly<Record<string, Opt<unknown>>>;
type Read<R extends Words | Opts> = { [K in keyof R]: R[K] extends { read(...raw: never[]): infer V } ? V : never };

/** What a verb takes: its words in order, and its options. */
export interface Input<T> {
  declare(command: Command): void;
  /** What was typed, checked; throws UserError in words. */
  read(command: Command): T;
}
export type InputOf<I> = I extends Input<infer T> ? T : never;

export function inputOf<W extends Words, O extends Opts>(ordered: W, options: O): Input<Read<W> & Read<O>> {
  return {
    declare(command) {
      for (const [name, { form }] of Object.entries(ordered)) command.argument(form(name));
      for (const { flag: made } of Object.values(options)) command.addOption(made);
    },
    read(command) {
      const given: Record<string, unknown> = command.opts();
      const read: Record<string, unknown> = {};
      for (const [i, [name, each]] of Object.entries(ordered).entries()) read[name] = each.read(command.processedArgs[i], name);
      for (const [name, each] of Object.entries(options)) read[name] = each.read(given[each.flag.attributeName()]);
      // one entry for each word and option, by its own reader
      return read as Read<W> & Read<O>;
    },
  };
}

/** What these words say, as if they had been typed. */
export function readTyped<T>(input: Input<T>, argv: readonly string[]): T {
  const command = new Command().exitOverride();
  input.declare(command);
  command.action(() => {});
  command.parse([...argv], { from: "user" });
  return input.read(command);
}

/** `--json`, which most verbs take. */
export const json = flag("--json", "one JSON object on stdout");
export const timeFormat = choiceOr("--time-format <how>", "of what people read: iso is exact, in UTC", ["short", "iso"], "short");
export const data = text("--data <dir>", "folder of this program's data");

interface VerbMore {
  alias?: string;
  /** What follows the words is another program's: its options are not read here. */
  passThrough?: boolean;
  /** One of the words is a program, which may have options of its own (program-words.ts). */
  program?: boolean;
  /** A program, its arguments, `--`, and inputs (map-words.ts). */
  inputs?: boolean;
  unknown?: boolean;
  sub?: readonly Verb[];
}

export interface Verb {
  name: string;
  alias: string | undefined;
  /** By its name alone, or with all that it takes and all that is below it. */
  declare(parent: Command, wholly: boolean): Promise<void>;
}

const rootOf = (command: Command): Command => (command.parent ? rootOf(command.parent) : command);

/** A verb that does something. What it takes, and its code, are loaded when they are wanted; `run` is given the whole command line, too. */
export function verb<T>(
  name: string,
  says: string,
  load: () => Promise<Input<T>>,
  run: (given: T, whole: Command) => Promise<void> | void,
  more: VerbMore = {},
): Verb {
  return {
    name,
    alias: more.alias,
    async declare(parent, wholly) {
      const command = parent.command(name).description(says);
      if (more.alias !== undefined) command.alias(more.alias);
      if (!wholly) return;
      const input = await load();
      input.declare(command);
      if (more.passThrough) command.passThroughOptions();
      if (more.program) (await import("./program-words.ts")).takesProgram(command);
      if (more.inputs) (await import("./map-words.ts")).takesInputs(command);
      if (more.unknown) command.allowUnknownOption();
      command.action(async () => run(input.read(command), rootOf(command)));
      for (const each of more.sub ?? []) await each.declare(command, true);
    },
  };
}

/** A verb that only has others below it. */
export function group(name: string, says: string, sub: readonly Verb[]): Verb {
  return {
    name,
    alias: undefined,
    async declare(parent, wholly) {
      const command = parent.command(name).description(says);
      for (const each of wholly ? sub : []) await each.declare(command, true);
    },
  };
}
