/** From what was typed after `xeno run` to what is wanted of the market, and to the job or machine that is to run. */
import { bootsMachine, bytesBlob, workOf as workFor, type Interpreter, type Work } from "@xenoservers/sdk";
import { fetching } from "../output/fetching.ts";
import { say, yellow } from "../output/terminal.ts";
import { environmentOf } from "./environment.ts";
import { programOf } from "./program.ts";
import { pythonWords, type PythonWords } from "./python-words.ts";
import { isPiped, standardInput } from "./standard-input.ts";
import type { WorkInput } from "./verbs/run.ts";

const fileOf = ({ script }: PythonWords): string | null => (typeof script === "object" && "file" in script ? script.file : null);

/** What is typed in words stands in the script's place. */
const interpreterOf = ({ options, script }: PythonWords): Interpreter => ({
  options,
  runsFile: script === "stdin" || "file" in script,
});

/** Of a script that is no file. */
async function sourceOf({ script }: PythonWords): Promise<Uint8Array> {
  if (typeof script === "object") return new TextEncoder().encode("source" in script ? script.source : "");
  return standardInput({ always: true, never: false });
}

export async function workOf(typed: WorkInput): Promise<Work> {
  const { file, args, image, vm, kernel, iso } = typed;
  const program = file === null || bootsMachine({ image, vm, kernel, iso }) ? null : { file, args };
  const python = program && (await pythonWords(program));
  const asked = python ? { file: fileOf(python), args: python.args } : program && (await programOf(program));
  const quiet = typed.quiet || typed.json;
  return workFor(
    { ...typed, env: [...environmentOf(typed)].map(([name, value]) => `${name}=${value}`), ...asked },
    {
      ...(python ? { interpreter: interpreterOf(python) } : {}),
      ...(python && fileOf(python) === null ? { program: { name: "main.py", blob: bytesBlob(await sourceOf(python)) } } : {}),
      stdin: () => standardInput({ always: typed.stdin, never: typed.noStdin || python?.script === "stdin" }),
      // of a program that nobody stays with, nothing that happens to be piped in is the input
      feedsImage: typed.stdin || (isPiped() && !typed.noStdin && !("detach" in typed && typed.detach === true)),
      check: await import("@xenoservers/engine/check"),
      looking: { watch: quiet ? undefined : fetching(), warn: (text) => void (quiet || say(yellow(`         ${text}`))) },
    },
  );
}
