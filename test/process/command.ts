/** The command line as a process of its own, as a person has it who keeps everything in one folder. */
import { execFile } from "node:child_process";
import path from "node:path";

export const CLI = path.resolve("packages/cli/bin/xeno.js");

interface Done {
  code: number;
  stdout: string;
  stderr: string;
}

export const command = (home: string, ...args: string[]): Promise<Done> => started(home, args).done;

/** `says` is called with what it says on stderr, as it comes. */
export function started(home: string, args: readonly string[], says: (text: string) => void = () => {}, more: NodeJS.ProcessEnv = {}) {
  const { promise: done, resolve } = Promise.withResolvers<Done>();
  const env = { ...process.env, CI: "", ...more, XENO_HOME: home };
  const child = execFile(process.execPath, [CLI, ...args], { env }, (error, stdout, stderr) =>
    resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
  );
  child.stderr?.on("data", (chunk: Buffer | string) => says(String(chunk)));
  return { child, done };
}
