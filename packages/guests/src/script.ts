/** Work that is done once, in a process of its own: whatever it takes of memory goes with it, and whatever happens in it, it ends. */
import { run } from "./programs/start.ts";
import { ownProgram } from "./own-program.ts";
import { firstLineOf } from "./thrown.ts";

const WITHIN_MS = 120_000;

interface Script {
  /** Without extension, of this folder. */
  name: string;
  args: readonly string[];
  /** Of Node. */
  flags?: readonly string[];
}

/** Runs a script to its end. Throws what it said of its failure, one line. */
export async function runScript({ name, args, flags = ["--no-warnings"] }: Script): Promise<void> {
  const options = { cwd: import.meta.dirname, timeout: WITHIN_MS, killSignal: "SIGKILL" } as const;
  const script = ownProgram(import.meta.dirname, name);
  await run(process.execPath, [...flags, script, ...args], options).catch((error: Error & { stderr?: string }) => {
    const said = (error.stderr ?? "").split("\n").find((line) => /^\w*Error\b/.test(line)) ?? firstLineOf(error);
    throw new Error(said.trim());
  });
}
