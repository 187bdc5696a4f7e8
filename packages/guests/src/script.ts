/** Work that is done once, in a process of its own: whatever it takes of memory goes with it, and whatever happens in it, it ends. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { ownProgram } from "./own-program.ts";
import { firstLineOf } from "./thrown.ts";

const run = promisify(execFile);
const WITHIN_MS = 120_000;

/** Runs a script of this folder, by its name without extension, to its end. Throws what it said of its failure, one line. */
export async function runScript(name: string, ...args: string[]): Promise<void> {
  const options = { cwd: import.meta.dirname, timeout: WITHIN_MS, killSignal: "SIGKILL" } as const;
  const script = ownProgram(import.meta.dirname, name);
  await run(process.execPath, ["--no-warnings", script, ...args], options).catch((error: Error & { stderr?: string }) => {
    const said = (error.stderr ?? "").split("\n").find((line) => /^\w*Error\b/.test(line)) ?? firstLineOf(error);
    throw new Error(said.trim());
  });
}
