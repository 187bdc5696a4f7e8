/** A folder's TypeScript as JavaScript, declarations and source maps, and beside them the files that its code reads. */
import { execFile } from "node:child_process";
import { cp, readdir, rm } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

const OPTIONS = [
  ...["--emitDeclarationOnly", "false", "--declaration", "--sourceMap", "--inlineSources", "--rewriteRelativeImportExtensions"],
  ...["--composite", "false", "--incremental", "false"],
] as const;

/** What tests alone read, or share: nothing that is published names it. */
const isForTests = (file: string): boolean => /(^|\/)testing(\/|$)|\.(test|fixture)\./.test(file);

/** Throws what the compiler said. */
async function tsc(root: string, what: string, ...args: string[]): Promise<void> {
  await run(path.join(root, "node_modules/.bin/tsc"), args).catch((error: Error & { stdout?: string }) => {
    throw new Error(`${what} could not be compiled:\n${error.stdout || error.message}`, { cause: error });
  });
}

/** The declarations that the folders read of each other; a tree that nobody has checked yet has none. */
export const compileReferences = (root: string): Promise<void> => tsc(root, "the repository", "-b", root);

/** Throws what the compiler said. `folder`: of the repository's `packages/`. Source maps name the source from `src/` on, wherever it was compiled. */
export async function compile(root: string, folder: string, out: string): Promise<void> {
  const project = path.join(root, "packages", folder, "tsconfig.json");
  await tsc(root, `packages/${folder}`, "-p", project, ...OPTIONS, "--sourceRoot", `xenoservers:///${folder}/src/`, "--outDir", out);
  const sources = path.join(root, "packages", folder, "src");
  await cp(sources, out, { recursive: true, filter: (from) => !from.endsWith(".ts") });
  for (const file of await readdir(out, { recursive: true })) {
    if (isForTests(file)) await rm(path.join(out, file), { recursive: true, force: true });
  }
}
