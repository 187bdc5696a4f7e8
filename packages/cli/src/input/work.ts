/** From what was typed after `xeno run` to what is wanted of the market, and to the job or machine that is to run. */
import { bootsMachine, bytesBlob, workOf as workFor, type Blob, type Interpreter, type Work } from "@xenoservers/sdk";
import { fetching } from "../output/fetching.ts";
import { ReadingLine } from "../output/reading.ts";
import { say, yellow } from "../output/terminal.ts";
import { environmentOf } from "./environment.ts";
import { programOf } from "./program.ts";
import { pythonWords, type PythonWords } from "./python-words.ts";
import { isPiped, standardInput } from "./standard-input.ts";
import type { WorkInput } from "./verbs/run.ts";

const fileOf = ({ script }: PythonWords) => (typeof script === "object" && "file" in script ? script : null);

/** What is typed in words, or piped in, stands in the script's place. */
const interpreterOf = ({ options, script }: PythonWords): Interpreter => ({
  options,
  runsFile: script !== "stdin" && "file" in script,
});

const SAID_MAX = 60;
/** As messages call a script that is no file: code that was typed is not said again. */
function saidOf({ options }: PythonWords, python: string): string {
  // behind a letter that has a value (-mcalendar) c is of that
  const code = options.findIndex((word) => /^-[^-cmWX]*c/.test(word));
  const words = code < 0 ? options : [...options.slice(0, code), "-c"];
  const said = [python, ...words].join(" ");
  return said.length > SAID_MAX ? `${said.slice(0, SAID_MAX)}...` : said;
}

/** A script that is no file, by the words that stand in its place. */
async function scriptOf(words: PythonWords, python: string): Promise<{ name: string; blob: Blob; said: string }> {
  const { script } = words;
  const source =
    script === "stdin"
      ? await standardInput({ always: true, never: false })
      : new TextEncoder().encode("source" in script ? script.source : "");
  return { name: "main.py", blob: bytesBlob(source), said: saidOf(words, python) };
}

export async function workOf(typed: WorkInput): Promise<Work> {
  const { file, args, image, vm, kernel, iso } = typed;
  const program = file === null || bootsMachine({ image, vm, kernel, iso }) ? null : { file, args };
  const python = program && (await pythonWords(program));
  const found = python ? { file: null, ...fileOf(python), args: python.args } : program && (await programOf(program));
  const { kind, ...asked } = { kind: undefined, ...found };
  const quiet = typed.quiet || typed.json;
  // of its own part of the program, which no other way loads
  const local =
    "local" in typed && typed.local === true
      ? { ...(await import("../local/local-module.ts")), ...(await import("../local/local-blob.ts")) }
      : null;
  const script = python && fileOf(python) === null ? await scriptOf(python, program?.file ?? "") : null;
  const line = quiet ? null : new ReadingLine();
  const work = workFor(
    { ...typed, env: [...environmentOf(typed)].map(([name, value]) => `${name}=${value}`), ...asked },
    {
      ...(kind ? { kind } : {}),
      ...(python ? { interpreter: interpreterOf(python) } : {}),
      ...(script ? { program: script } : {}),
      // Python reads a script that is piped in itself
      stdin: async () =>
        script && python?.script === "stdin"
          ? script.blob.read(0, script.blob.size)
          : standardInput({ always: typed.stdin, never: typed.noStdin }),
      // of a program that nobody stays with, nothing that happens to be piped in is the input
      feedsImage: typed.stdin || (isPiped() && !typed.noStdin && !("detach" in typed && typed.detach === true)),
      check: { ...(await import("@xenoservers/engine/check")), ...(local ? { hasTaken: local.hasTaken } : {}) },
      ...(local ? { blobOf: local.blobOf } : {}),
      looking: { watch: quiet ? undefined : fetching(), warn: (text) => void (quiet || say(yellow(`         ${text}`))) },
      ...(line ? { reading: { onRead: (progress) => line.read(progress) } } : {}),
    },
  );
  return work.finally(() => line?.end());
}
