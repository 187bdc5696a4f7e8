/** A program of others as a component, as the tools of the component model make one of it, beside the module that it was made of. */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { packed } from "./packed.ts";

const XENO = path.resolve("node_modules/.bin/xeno");
const MAKE = `
import { $init, tools } from "@bytecodealliance/jco-transpile/vendor/wasm-tools.js";
import { readFileSync, writeFileSync } from "node:fs";
await $init;
const [module, adapter, to] = process.argv.slice(2);
writeFileSync(to, tools.componentNew(readFileSync(module), [["wasi_snapshot_preview1", readFileSync(adapter)]]));
`;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), "xeno-component-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it("runs as the module that it was made of", () => {
  const tools = path.join(folder, "node_modules/@bytecodealliance");
  mkdirSync(tools, { recursive: true });
  for (const [name, version] of [
    ["jco-transpile", "0.15.0"],
    ["preview2-shim", "0.26.1"],
  ] as const)
    cpSync(packed(`@bytecodealliance/${name}@${version}`, folder), path.join(tools, name), { recursive: true });
  const adapter = path.join(packed("@bytecodealliance/jco@1.35.0", folder), "lib/wasi_snapshot_preview1.command.wasm");
  const module = path.join(packed("@yowasp/nextpnr-ice40@0.8.621", folder), "gen/icepll.core.wasm");
  writeFileSync(path.join(folder, "make.mjs"), MAKE);
  // the file that is asked for is not among what the package exports
  writeFileSync(path.join(tools, "jco-transpile/package.json"), JSON.stringify({ name: "x", type: "module" }));
  const component = path.join(folder, "icepll.component.wasm");
  execFileSync(process.execPath, ["make.mjs", module, adapter, component], { cwd: folder });
  const run = (file: string): string =>
    execFileSync(XENO, ["run", "--local", "-q", file, "-i", "12", "-o", "60"], { encoding: "utf8", cwd: folder });
  expect(run(component)).toMatch(/F_PLLOUT:\s+60\.000 MHz/);
  expect(run(component)).toBe(run(module));
});
