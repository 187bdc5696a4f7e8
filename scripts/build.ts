/**
 * `npm run build`: the command of this checkout as few files, in packages/cli/built, which `bin/xeno.js` starts for as long as the sources
 * are those that it was made of.
 */
import { rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { bundleCommand } from "./pack/bundle.ts";

const root = path.resolve(import.meta.dirname, "..");

/** Each file that it was made of, with its size and the time of its last change. */
async function statesOf(files: readonly string[]): Promise<[string, number, number][]> {
  const states = files.map(async (file): Promise<[string, number, number]> => {
    const { size, mtimeMs } = await stat(file);
    return [path.relative(root, file), size, mtimeMs];
  });
  return Promise.all(states);
}

export async function build(out = path.join(root, "packages/cli/built")): Promise<void> {
  await rm(out, { recursive: true, force: true });
  const inputs = await bundleCommand(root, out);
  await writeFile(path.join(out, "inputs.json"), JSON.stringify(await statesOf(inputs)));
}

if (import.meta.main) await build();
