/** What becomes of what runs where the command is told to end. Who controls the inputs: whoever typed the words, the environment. */
import { flag, negation, type Opt } from "./verb.ts";

export const onExit: Readonly<Record<"stopOnExit" | "leaveOnExit", Opt<boolean>>> = {
  stopOnExit: flag("--stop-on-exit", "told to end, or lost, it stops what runs, and its cost (default where CI is set)"),
  leaveOnExit: negation("--no-stop-on-exit", "told to end, it leaves what runs to run on"),
};

/** In a pipeline nobody comes back for it. */
export function stopsOnExit({ stopOnExit, leaveOnExit }: { stopOnExit: boolean; leaveOnExit: boolean }): boolean {
  const inPipeline = !["", "0", "false"].includes(process.env["CI"] ?? "");
  return stopOnExit || (inPipeline && !leaveOnExit);
}
