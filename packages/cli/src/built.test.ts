/** `bin/xeno.js` in a checkout: what `npm run build` made is started for as long as it is made of the sources that are there. */
import { execFileSync } from "node:child_process";
import { copyFile, mkdir, mkdtemp, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";

const SOURCE = "packages/sdk/src/one.ts";

let root: string;
const at = (file: string): string => path.join(root, file);
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), "xeno built %20 "));
  for (const folder of ["bin", "src", "built", "../sdk/src"]) await mkdir(at(`packages/cli/${folder}`), { recursive: true });
  await copyFile(path.join(import.meta.dirname, "../bin/xeno.js"), at("packages/cli/bin/xeno.js"));
  await writeFile(at("package.json"), '{"type":"module"}');
  await writeFile(at("packages/cli/src/main.ts"), "export const main = (): void => console.log('source');");
  await writeFile(at("packages/cli/built/main.js"), "export const main = () => console.log('built');");
  await writeFile(at(SOURCE), "one");
  const { size, mtimeMs } = await stat(at(SOURCE));
  await inputs(JSON.stringify([[SOURCE, size, mtimeMs]]));
});
afterEach(() => rm(root, { recursive: true, force: true }));

const inputs = (text: string): Promise<void> => writeFile(at("packages/cli/built/inputs.json"), text);
const started = (): string => execFileSync(process.execPath, [at("packages/cli/bin/xeno.js")], { encoding: "utf8" }).trim();

it("starts what was built of these sources", () => expect(started()).toBe("built"));

it.each<[string, () => Promise<void>]>([
  ["a source is newer", () => utimes(at(SOURCE), new Date(), new Date(Date.now() + 60_000))],
  ["a source is older, of another branch", () => utimes(at(SOURCE), new Date(0), new Date(0))],
  ["a source is gone", () => rm(at(SOURCE))],
  ["it was not built to its end", () => rm(at("packages/cli/built/inputs.json"))],
  ["its list is damaged", () => inputs('[["packages')],
  ["nothing was built", () => rm(at("packages/cli/built"), { recursive: true })],
])("starts the sources where %s", async (_, change) => {
  await change();
  expect(started()).toBe("source");
});
