/** A program that nobody here built, with exceptions: pandoc, compiled by GHC, from npm, beside node:wasi on the same input. */
import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";

const XENO = path.resolve("node_modules/.bin/xeno");
const PACKAGE = "pandoc-wasm@1.1.0";
const TEXT = "# A title\n\nSome *text* with `code`, a [link](https://example.org) and\n\n| a | b |\n|---|---|\n| 1 | 2 |\n";
const ARGS = ["-f", "gfm", "-t", "html", "text.md"];
const PEER = `
import { readFileSync } from "node:fs";
import { WASI } from "node:wasi";
const wasi = new WASI({ version: "preview1", args: ["pandoc.wasm", ...process.argv.slice(3)], preopens: { ".": "." } });
wasi.start(await WebAssembly.instantiate(await WebAssembly.compile(readFileSync(process.argv[2])), wasi.getImportObject()));
`;

let folder: string;
let module: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), "xeno-pandoc-"));
  execFileSync("npm", ["pack", "--silent", PACKAGE], { cwd: folder });
  execFileSync("tar", ["xzf", "pandoc-wasm-1.1.0.tgz"], { cwd: folder });
  module = path.join(folder, "package/src/pandoc.wasm");
  writeFileSync(path.join(folder, "text.md"), TEXT);
  writeFileSync(path.join(folder, "peer.mjs"), PEER);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const output = async (program: string, args: string[]): Promise<string> =>
  (await promisify(execFile)(program, args, { cwd: folder, maxBuffer: 1 << 24 })).stdout;

it("makes what it makes under node:wasi", async () => {
  const expected = await output(process.execPath, ["--no-warnings", "peer.mjs", module, ...ARGS]);
  expect(expected).toContain("<em>text</em>");
  expect(await output(XENO, ["run", "--local", "--dir", ".", module, "--", ...ARGS])).toBe(expected);
});

it("says in words what it cannot read, having caught its own exception", async () => {
  writeFileSync(path.join(folder, "broken.json"), "{");
  const failed = output(XENO, ["run", "--local", "--dir", ".", module, "--", "-f", "json", "-t", "html", "broken.json"]);
  await expect(failed).rejects.toMatchObject({ stderr: expect.stringContaining("JSON") as string });
  expect(readFileSync(path.join(folder, "broken.json"), "utf8")).toBe("{");
});
