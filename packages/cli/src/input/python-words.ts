/**
 * `python3 …` as people type it to a shell: which script it means, by CPython's own command line (python(1)). Nothing of it is an image's
 * command. Who controls the words: whoever types.
 */
import { PYTHON_FILE, programAt, shellWord, type ProgramKind } from "@xenoservers/sdk";
import { UserError } from "../output/ui.ts";
import { PYTHONS } from "./program-words.ts";

interface Typed {
  file: string;
  args: string[];
}

export interface PythonWords {
  /** The interpreter's own, as they were typed: before the script, or in its place (`-c`, `-m`, `-`). */
  options: string[];
  /** What they say, as the variables that say the same. */
  env: [name: string, value: string][];
  /** The first of them that no variable says. */
  unsaid: string | null;
  args: string[];
  /** A file here; a script that was typed; or what is piped in. */
  script: { file: string; kind: ProgramKind } | { source: string } | "stdin";
}

const RUNS = "-c CODE, -m MODULE, FILE, a folder with __main__.py, and - for what is piped in";

/** Options of one letter without a value: the variable that says the same; null: it is so here anyway; "": none does. */
const FLAGS: Readonly<Record<string, string | null>> = {
  ...{ B: null, R: null, d: null, q: null },
  ...{ P: "PYTHONSAFEPATH", s: "PYTHONNOUSERSITE", u: "PYTHONUNBUFFERED", v: "PYTHONVERBOSE" },
  ...{ E: "", I: "", S: "", b: "", x: "" },
};
/** Python answers them, and runs nothing. */
const ANSWERED = /^-(?:[h?]|V+|-version|-help(?:-all|-env|-xoptions)?)$/;

const NAMED = "-B -E -I -O -P -R -S -W -X -b -s -u -v -x, -V and -h";

const SETTINGS: Readonly<Record<string, string>> = {
  ...{ dev: "PYTHONDEVMODE", faulthandler: "PYTHONFAULTHANDLER", importtime: "PYTHONPROFILEIMPORTTIME" },
  ...{ int_max_str_digits: "PYTHONINTMAXSTRDIGITS", tracemalloc: "PYTHONTRACEMALLOC", utf8: "PYTHONUTF8" },
};

const own = <T>(table: Readonly<Record<string, T>>, name: string): T | undefined => (Object.hasOwn(table, name) ? table[name] : undefined);

const IN_WORDS: Readonly<Record<string, (word: string) => string>> = {
  c: (code) => `${code}\n`,
  m: (name) => `import runpy\nrunpy.run_module(${JSON.stringify(name)}, run_name="__main__", alter_sys=True)\n`,
};

/** Modules that install others, or make a place for them. */
const INSTALLERS: ReadonlySet<string> = new Set(["ensurepip", "pip", "pipx", "venv", "virtualenv"]);

function assertNoInstaller(python: string, name: string): void {
  if (!INSTALLERS.has(name)) return;
  throw new UserError(
    `${python} -m ${name} has nothing to install into: a job ends with its files. Bring in what is of Python alone ` +
      "(pip install --target packages NAME here, then xeno run --dir packages --env PYTHONPATH=/packages FILE.py), or run it in an image",
  );
}

class Options {
  readonly #python: string;
  readonly #words: string[];
  readonly #env: [name: string, value: string][] = [];
  readonly #warnings: string[] = [];
  #unsaid: string | null = null;
  #optimized = 0;

  constructor({ file, args }: Typed) {
    this.#python = file;
    this.#words = [...args];
  }

  /** Up to the script, which is typed in words, or is the first word of the rest. */
  read(): { source: string | null; rest: string[] } & Pick<PythonWords, "options" | "env" | "unsaid"> {
    const all = [...this.#words];
    let source: string | null = null;
    while (source === null && /^-./.test(this.#words[0] ?? "")) source = this.#option(this.#words.shift()!);
    if (this.#optimized > 0) this.#env.push(["PYTHONOPTIMIZE", String(this.#optimized)]);
    if (this.#warnings.length > 0) this.#env.push(["PYTHONWARNINGS", this.#warnings.join(",")]);
    const options = all.slice(0, all.length - this.#words.length);
    return { source, rest: this.#words, options, env: this.#env, unsaid: this.#unsaid };
  }

  #option(word: string): string | null {
    if (!ANSWERED.test(word)) return this.#letters(word.slice(1));
    this.#unsaid ??= word;
    return "";
  }

  /** Several may stand together, the last of them with its value: `-um timeit`. */
  #letters(word: string): string | null {
    for (const [i, letter] of [...word].entries()) {
      const value = (): string => this.#value(letter, word.slice(i + 1));
      const made = own(IN_WORDS, letter);
      if (made) {
        const said = value();
        if (letter === "m") assertNoInstaller(this.#python, said);
        return made(said);
      }
      if (letter === "W" || letter === "X") {
        this.#valued(letter, value());
        return null;
      }
      this.#flag(letter, word);
    }
    return null;
  }

  #valued(letter: "W" | "X", value: string): void {
    if (letter === "W") return void this.#warnings.push(value);
    const [name = "", said = "1"] = value.split("=");
    const variable = own(SETTINGS, name);
    if (variable === undefined) this.#unsaid ??= `-X ${value}`;
    else this.#env.push([variable, said]);
  }

  #flag(letter: string, word: string): void {
    const says = own(FLAGS, letter);
    if (letter === "O") this.#optimized++;
    else if (says === undefined)
      throw new UserError(`${this.#python} -${word} cannot be said here: it runs ${RUNS}; its options are ${NAMED}`);
    else if (says === "") this.#unsaid ??= `-${letter}`;
    else if (says !== null) this.#env.push([says, "1"]);
  }

  #value(letter: string, attached: string): string {
    const value = attached === "" ? this.#words.shift() : attached;
    if (value === undefined || value === "") throw new UserError(`${this.#python} -${letter}: its value is missing behind -${letter}`);
    return value;
  }
}

/** Null: these words are no Python's. `python` alone, or before the name of a program, is the image of that name. */
export async function pythonWords(typed: Typed): Promise<PythonWords | null> {
  const { file: python, args: words } = typed;
  if (!PYTHONS.includes(python)) return null;
  const [first] = words;
  if (python === "python" && !(first?.startsWith("-") === true || PYTHON_FILE.test(first ?? ""))) return null;
  const { source, rest, ...said } = new Options(typed).read();
  if (source !== null) return { ...said, args: rest, script: { source } };
  const [file = "-", ...args] = rest;
  if (file === "-") return { ...said, options: [...said.options, ...rest.slice(0, 1)], args, script: "stdin" };
  const program = await programAt(file);
  if (program === null) throw new UserError(`${python} ${file}: there is no file ${file} here; ${python} runs ${RUNS}`);
  // it is Python's to say what of a text it cannot run
  const kind = "kind" in program ? program.kind : "script";
  if (kind === "module") throw new UserError(`${python} ${file}: it is a WebAssembly module: xeno run ${shellWord(file)}`);
  return { ...said, args, script: { file, kind } };
}
