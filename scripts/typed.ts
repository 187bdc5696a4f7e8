/**
 * What was typed behind a program of this repository (`npm run NAME -- …`), read strictly: what it does not know ends it before it begins,
 * with how it is used. Who controls the words: whoever runs it.
 */
import { parseArgs, type ParseArgsConfig } from "node:util";

type Options = NonNullable<ParseArgsConfig["options"]>;
interface Read<T extends Options> {
  args: string[];
  options: T;
  allowPositionals: true;
}
type Typed<T extends Options> = ReturnType<typeof parseArgs<Read<T>>>;

const WRONG_USE = 2;

/** Ends the program. */
export function refuse(why: string, usage?: string): never {
  console.error(usage === undefined ? why : `${why}\n${usage}`);
  process.exit(WRONG_USE);
}

interface Names {
  /** One of them, in words: `bench`. */
  what: string;
  all: readonly string[];
}

/** `usage`: of one line or more. `names`: what may stand beside the options; null: nothing. */
export function typed<const T extends Options>(usage: string, options: T, names: Names | null = null): Typed<T> {
  const args = process.argv.slice(2);
  const list = names === null ? "" : `\n${names.what}: ${names.all.join(", ")}`;
  if (args.some((word) => word === "--help" || word === "-h")) {
    console.log(`usage: ${usage}${list}`);
    process.exit(0);
  }
  let read: Typed<T>;
  try {
    read = parseArgs<Read<T>>({ args, options, allowPositionals: true });
  } catch (error) {
    const [why = ""] = String(error instanceof Error ? error.message : error).split(". To specify"); // how words with a dash are typed
    return refuse(why, `usage: ${usage}${list}`);
  }
  const unknown = read.positionals.find((name) => !names?.all.includes(name));
  if (unknown !== undefined)
    refuse(names === null ? `'${unknown}' is nothing it takes` : `no ${names.what} is called ${unknown}`, `usage: ${usage}${list}`);
  return read;
}

/** Of an option. Ends the program where it is none. */
export function wholeNumber(option: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) return refuse(`--${option} '${text}' is no whole number`);
  return Number(text);
}
