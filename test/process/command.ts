/** The command line as a process of its own, as a person has it who keeps everything in one folder. */
import { execFile } from "node:child_process";
import path from "node:path";

const CLI = path.resolve("packages/cli/bin/xeno.js");

interface Done {
  code: number;
  stdout: string;
  stderr: string;
}

export const command = (home: string, ...args: string[]): Promise<Done> =>
  new Promise((resolve) => {
    const env = { ...process.env, XENO_HOME: home };
    execFile(process.execPath, [CLI, ...args], { env }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    );
  });
