/** The packed files as strangers have them: installed in empty folders outside of the repository, on a Node of their own. */
import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { inject } from "vitest";
import { packedIn, type Packed } from "./packed-files.ts";

export const run = promisify(execFile);

/** Of pack-once.ts: made once for all tests here. */
export const packed = (): Packed => packedIn(inject("packed"));

/** `npm install` in a folder that has nothing else; `packages`: names with versions, files, or words of npm's. */
export async function install(folder: string, ...packages: string[]): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, "package.json"), '{"private":true,"type":"module"}\n');
  await run("npm", ["install", "--no-audit", "--no-fund", "--no-save", "--no-package-lock", ...packages], { cwd: folder });
}

interface Done {
  code: number;
  stdout: string;
  stderr: string;
}

/** Never throws for how it ends: the test says what it expects. */
export const ended = (file: string, args: readonly string[], env: NodeJS.ProcessEnv = {}, cwd?: string): Promise<Done> =>
  new Promise((resolve) => {
    execFile(
      file,
      args,
      { env: { ...process.env, ...env }, maxBuffer: 64 * 1024 * 1024, ...(cwd ? { cwd } : {}) },
      (error, stdout, stderr) => resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    );
  });
