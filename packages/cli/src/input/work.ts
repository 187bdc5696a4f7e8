/** From what was typed after `xeno run` to what is wanted of the market, and to the job or machine that is to run. */
import { bootsMachine, bytesBlob, workOf as workFor, type Work } from "@xenoservers/sdk";
import { fetching } from "../output/fetching.ts";
import { say, yellow } from "../output/terminal.ts";
import { environmentOf } from "./environment.ts";
import { programOf, scriptIn } from "./program.ts";
import { isPiped, standardInput } from "./standard-input.ts";
import type { WorkInput } from "./verbs/run.ts";

export async function workOf(typed: WorkInput): Promise<Work> {
  const { file, args, image, vm, kernel, iso } = typed;
  const program = file === null || bootsMachine({ image, vm, kernel, iso }) ? null : { file, args };
  const script = program && scriptIn(program);
  const asked = script ? { file: null, args: script.args } : program && (await programOf(program));
  const quiet = typed.quiet || typed.json;
  return workFor(
    { ...typed, env: [...environmentOf(typed)].map(([name, value]) => `${name}=${value}`), ...asked },
    {
      ...(script ? { program: { name: "main.py", blob: bytesBlob(new TextEncoder().encode(script.source)) } } : {}),
      stdin: () => standardInput({ always: typed.stdin, never: typed.noStdin }),
      // of a program that nobody stays with, nothing that happens to be piped in is the input
      feedsImage: typed.stdin || (isPiped() && !typed.noStdin && !("detach" in typed && typed.detach === true)),
      check: await import("@xenoservers/engine/check"),
      looking: { watch: quiet ? undefined : fetching(), warn: (text) => void (quiet || say(yellow(`         ${text}`))) },
    },
  );
}
