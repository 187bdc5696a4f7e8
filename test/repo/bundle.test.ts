/** The command as `npm run build` and `npm run pack` leave it. */
import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { bundleCommand } from "../../scripts/pack/bundle.ts";

const root = path.resolve(".");
/** Apart from the checkout, whose files other tests list meanwhile. */
let out: string;
let inputs: string[];
beforeAll(async () => {
  out = await mkdtemp(path.join(tmpdir(), "xeno-bundle-"));
  inputs = await bundleCommand(root, out);
});
afterAll(() => rm(out, { recursive: true, force: true }));

const textOf = (file: string): Promise<string> => readFile(path.join(out, file), "utf8");
/** None of a file that only names others. */
async function sourcesOf(file: string): Promise<string[]> {
  const map = await textOf(`${file}.map`).catch(() => '{"sources":[]}');
  return (JSON.parse(map) as { sources: string[] }).sources;
}

/** All that is loaded before this file runs. */
async function loadedWith(file: string, seen = new Set<string>()): Promise<Set<string>> {
  if (seen.has(file)) return seen;
  seen.add(file);
  for (const [, next = ""] of (await textOf(file)).matchAll(/^(?:import|export) .*"\.\/([^"]+)";$/gm)) await loadedWith(next, seen);
  return seen;
}

/** The files that are loaded with the one that this source is in. */
async function filesWith(source: string): Promise<string[]> {
  const files = (await readdir(out)).filter((name) => name.endsWith(".js"));
  for (const file of files) if ((await sourcesOf(file)).includes(source)) return [...(await loadedWith(file))];
  throw new Error(`${source} is in none of ${files.length} files`);
}

const sourcesWith = async (source: string): Promise<string[]> => (await Promise.all((await filesWith(source)).map(sourcesOf))).flat();

it("loads of the customer's library what the verb uses", async () => {
  const [ps, map] = [await sourcesWith("cli/src/verbs/ps.ts"), await sourcesWith("cli/src/verbs/map.ts")];
  expect(ps).toContain("sdk/src/lists.ts");
  expect(ps.filter((source) => /^sdk\/src\/(oci|guest|facade)\/|^verify\//.test(source))).toEqual([]);
  expect(map).toContain("sdk/src/facade/map/map-run.ts");
});

it("starts a guest before the customer's library is read", async () => {
  const ahead = await sourcesWith("cli/src/local/ahead.ts");
  expect(ahead).toContain("guests/src/pool.ts");
  const early =
    /^(cli\/src\/(main|own-\w+|output\/(leave|terminal)|local\/(ahead|local-module|scratch))|guests\/.*|engine\/src\/(version|wasi\/limits)|protocol\/src\/(files|visible|system\/builtin)|sdk\/src\/node\/home)\.ts$/;
  expect(ahead.filter((source) => !early.test(source) && !/^node_modules\/(env-paths|is-safe-filename)\//.test(source))).toEqual([]);
});

it("loads no package of an owner's for a customer's verb, nor for a run on this machine", async () => {
  const outside = /^import .*"@xenoservers\/(guests|xenoserver|xenocorp)";$/m;
  for (const source of ["verbs/run-by-lease", "verbs/map", "local/local-module", "local/local-run"])
    for (const file of await filesWith(`cli/src/${source}.ts`)) expect(outside.exec(await textOf(file))?.[0], file).toBeUndefined();
});

it("says its version with a handful of files", async () => {
  const main = await Promise.all([...(await loadedWith("main.js"))].map(sourcesOf));
  expect(main.flat()).toContain("cli/src/main.ts");
  const few =
    /^(cli\/src\/(main|own-\w+|output\/(leave|terminal))|protocol\/src\/(files|visible|system\/builtin)|sdk\/src\/node\/home)\.ts$/;
  expect(main.flat().filter((source) => !few.test(source) && !/^node_modules\/(env-paths|is-safe-filename)\//.test(source))).toEqual([]);
});

const filesBelow = async (): Promise<string[]> =>
  (await readdir(out, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(out, path.join(entry.parentPath, entry.name)));

it("names its sources by the repository alone", async () => {
  const files = await filesBelow();
  expect(files.length).toBeGreaterThan(50);
  for (const file of files) expect((await textOf(file)).includes(root), file).toBe(false);
  for (const file of files.filter((name) => name.endsWith(".js"))) {
    for (const source of await sourcesOf(file)) expect(source, file).toMatch(/^([a-z]+\/src|node_modules)\//);
  }
});

it("imports nothing of Node that loads what nobody asked for", async () => {
  const dear = /^import .*"node:(process|util|fs|fs\/promises|crypto|child_process|net|os|timers\/promises|http|https|http2|tls)";$/m;
  const files = (await filesBelow()).filter((name) => name.endsWith(".js"));
  for (const file of files) expect(dear.exec(await textOf(file))?.[0], file).toBeUndefined();
  for (const file of await loadedWith("worker/main.js")) expect(/^import .*"node:.*$/m.exec(await textOf(file))?.[0], file).toBeUndefined();
});

it("holds what it starts, and of what looks beside itself what finds there what it looks for", async () => {
  const files = await filesBelow();
  const started = ["worker/main.js", "prepare-runtime.js", "compile-runtime.js"];
  for (const file of started) expect(files).toContain(file);
  const sources = new Set((await Promise.all(files.filter((name) => name.endsWith(".js")).map(sourcesOf))).flat());
  expect([...sources].filter((source) => source.startsWith("xenocorp/"))).toEqual([]);
  expect(sources).not.toContain("xenoserver/src/host/daemon.ts");
  const looks = async (source: string): Promise<boolean> =>
    (await readFile(path.join(root, "packages", source), "utf8")).includes("import.meta");
  const looking: string[] = [];
  for (const source of sources) if (!source.startsWith("node_modules/") && (await looks(source))) looking.push(source);
  expect(looking.sort()).toEqual([
    "cli/src/own-place.ts",
    ...["own-program", "runtimes", "sandbox", "script", "worker/koffi"].map((name) => `guests/src/${name}.ts`),
  ]);
});

it("knows all that it was made of", () => {
  const own = inputs.map((file) => path.relative(root, file));
  for (const file of ["sdk/src/index.ts", "sdk/src/node/python-support.ts", "guests/src/worker/main.ts", "guests/package.json"])
    expect(own).toContain(`packages/${file}`);
  expect(own).toContain("package-lock.json");
  expect(new Set(own).size).toBe(own.length);
});
