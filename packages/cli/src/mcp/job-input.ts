/**
 * What an agent wants to run, as the words of `xeno run` would have it: a program in the call itself, or an image by name. Nothing of this
 * machine goes along but what the call brings and what lies in the session's folder. Who controls the inputs: the agent, every field.
 */
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { InputError, assertPlaceFor, isOnThisMachine } from "@xenoservers/sdk";
import { z } from "zod";
import { runInput, type RunInput } from "../input/verbs/run.ts";
import { readTyped } from "../input/verb.ts";
import { heldScratch } from "../local/held-scratch.ts";
import { UserError } from "../output/ui.ts";
import { withinFolder } from "./own-folder.ts";

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;
const FILES_MAX = 256;
const base64 = z.string().refine((text) => text.length % 4 === 0 && BASE64.test(text), { error: "it is no base64" });

const zFile = z.strictObject({
  path: z.string().describe("below /in, such as data/a.csv"),
  text: z.string().optional(),
  base64: base64.optional(),
});

export const zJob = z.strictObject({
  python: z.string().optional().describe("source of a Python 3.12 script: standard library, no sockets, threads or subprocesses"),
  module: base64.optional().describe("a module for wasm32-wasip1, in base64"),
  image: z.string().optional().describe("name of an OCI image in a registry, such as debian:12; fetched by this machine first"),
  args: z.array(z.string()).max(4_096).default([]).describe("the program's arguments; of an image: the command that runs in it"),
  env: z.record(z.string(), z.string()).default({}),
  files: z.array(zFile).max(FILES_MAX).default([]).describe("read-only at /in, each with text or base64"),
  in: z.string().optional().describe("a folder of this machine, within the server's --folder, read-only at /in; in place of files"),
  out: z.string().optional().describe("a folder within the server's --folder to which what the job leaves in /out comes"),
  budget: z.string().describe("the most that it may cost, in the market's currency: 0.05; held first, what is not used comes back"),
  maxTime: z.string().default("10m").describe("the longest that it may run: 90s, 10m, 2h"),
  cpu: z.int().min(1).max(1_024).default(1),
  mem: z.string().optional().describe("512M, 2G"),
  disk: z.string().optional().describe("512M, 2G"),
  maxPrice: z.string().optional().describe("the most per hour"),
  where: z.string().default("").describe("conditions on the server, as for search: region=eu sandbox=strong"),
  label: z.string().max(64).optional(),
  audit: z.boolean().default(false).describe("on a server whose owner has stake locked against a wrong result"),
});
export type Job = z.output<typeof zJob>;

/** As if it had been typed; each value behind its own option, so that none is read as another. */
function wordsOf(job: Job, program: string[], folders: { in: string | null; out: string | null }): string[] {
  const option = (name: string, value: string | number | null | undefined): string[] =>
    value === undefined || value === null ? [] : [`--${name}=${value}`];
  return [
    ...["--json", "--quiet", "--no-stdin", "--no-audit"],
    ...Object.entries(job.env).map(([name, value]) => `--env=${name}=${value}`),
    ...[...option("in", folders.in), ...option("out", folders.out)],
    ...[...option("budget", job.budget), ...option("max-time", job.maxTime), ...option("max-price", job.maxPrice)],
    ...[...option("cpu", job.cpu), ...option("mem", job.mem), ...option("disk", job.disk)],
    ...[...option("where", job.where), ...option("label", job.label), ...(job.audit ? ["--audit"] : [])],
    ...program,
  ];
}

/** The options of `xeno run` as this tool's fields are called. */
const FIELDS: Readonly<Record<string, string>> = {
  "--max-time": "maxTime",
  "--max-price": "maxPrice",
  "--budget": "budget",
  "--mem": "mem",
  "--disk": "disk",
  "--env": "env",
  "--where": "where",
};
const asField = (says: string): string => says.replaceAll(/--[a-z-]+/g, (option) => FIELDS[option] ?? option);

async function writeFiles(folder: string, files: Job["files"]): Promise<void> {
  for (const { path: name, text, base64 } of files) {
    const at = path.join(folder, path.posix.normalize(name));
    if (name.includes("\0") || path.isAbsolute(name) || !at.startsWith(folder + path.sep))
      throw new UserError(`the file '${name}' does not lie below /in`);
    if ((text === undefined) === (base64 === undefined)) throw new UserError(`the file '${name}' needs either text or base64`);
    await mkdir(path.dirname(at), { recursive: true });
    await writeFile(at, text ?? Buffer.from(base64 ?? "", "base64")).catch((cause: unknown) => {
      throw new UserError(`the file '${name}' cannot lie where another does (${cause instanceof Error ? cause.message : String(cause)})`);
    });
  }
}

async function programIn(job: Job, folder: string): Promise<string[]> {
  const given = [job.python, job.module, job.image].filter((each) => each !== undefined);
  if (given.length !== 1) throw new UserError("say what is to run: one of python, module and image");
  if (job.image !== undefined) {
    if (isOnThisMachine(job.image) || job.image === "") throw new UserError(`'${job.image}' is no name of an image in a registry`);
    return [`--image=${job.image}`, "--", ...job.args];
  }
  const file = path.join(folder, job.python === undefined ? "job.wasm" : "job.py");
  await writeFile(file, job.python ?? Buffer.from(job.module ?? "", "base64"));
  return ["--", file, ...job.args];
}

/** What lies on this machine for a job while it is made ready and runs; `done` takes it away. */
export interface JobHere {
  input: RunInput;
  done(): Promise<void>;
}

/** Of folders of jobs that are under way. */
export const AGENT_FOLDER = "agent";

/** Throws UserError where the job is not one. */
export async function jobHere(job: Job, folder: string | null): Promise<JobHere> {
  if (job.in !== undefined && job.files.length > 0) throw new UserError("give either 'in' or 'files'");
  const { folder: work, remove: done } = await heldScratch(AGENT_FOLDER);
  try {
    const sent = path.join(work, "in");
    await mkdir(sent);
    await writeFiles(sent, job.files);
    const here = job.in === undefined ? null : await withinFolder(folder, job.in);
    const out = job.out === undefined ? null : await withinFolder(folder, job.out);
    if (out !== null) await assertPlaceFor(out);
    const words = wordsOf(job, await programIn(job, work), { in: here ?? (job.files.length > 0 ? sent : null), out });
    return { input: readTyped(runInput, words), done };
  } catch (error) {
    await done();
    throw error instanceof InputError ? new UserError(asField(error.message)) : error;
  }
}
