/**
 * `npm run build`: the command of this checkout as few files, in packages/cli/built, which `bin/xeno.js` starts for as long as the sources
 * are those that it was made of. What an earlier build left stays for a week: a program that runs may still load a part of it.
 */
import { mkdir, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { bundleCommand } from "./pack/bundle.ts";
import { typed } from "./typed.ts";

const root = path.resolve(import.meta.dirname, "..");
const BUILT = path.join(root, "packages/cli/built");
const LEFT_MS = 7 * 24 * 60 * 60 * 1000;
/** By so much a file's time may lie behind the clock's. */
const COARSE_MS = 20;

/** Each file that it was made of, with its size and the time of its last change; throws where one changed since then. */
async function statesOf(files: readonly string[], since: number): Promise<[string, number, number][]> {
  const states = files.map(async (file): Promise<[string, number, number]> => {
    const { size, mtimeMs } = await stat(file);
    if (mtimeMs >= since - COARSE_MS) throw new Error(`${path.relative(root, file)} was changed meanwhile: build again`);
    return [path.relative(root, file), size, mtimeMs];
  });
  return Promise.all(states);
}

async function clear(out: string, before: number): Promise<void> {
  for (const entry of await readdir(out, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    if (entry.isFile() && (await stat(file)).mtimeMs < before) await rm(file);
  }
}

/** What `bin/xeno.js` asks, too: whether what is there was built of the sources as they are. */
async function isCurrent(list: string): Promise<boolean> {
  try {
    for (const [file, size, mtimeMs] of JSON.parse(await readFile(list, "utf8")) as [string, number, number][]) {
      const now = await stat(path.join(root, file));
      if (now.size !== size || now.mtimeMs !== mtimeMs) return false;
    }
    return true;
  } catch {
    return false;
  }
}

/** `unlessCurrent`: nothing is done where it was built of these sources. */
export async function build(out = BUILT, { unlessCurrent = false } = {}): Promise<void> {
  const [list, begun] = [path.join(out, "inputs.json"), Date.now()];
  if (unlessCurrent && (await isCurrent(list))) return;
  await mkdir(out, { recursive: true });
  await rm(list, { force: true });
  const inputs = await bundleCommand(root, out);
  await clear(out, begun - LEFT_MS);
  await writeFile(list, JSON.stringify(await statesOf(inputs, begun)));
}

if (import.meta.main) {
  typed("npm run build", {});
  await build();
}
