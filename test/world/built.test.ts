/** Programs in languages as their compilers make WebAssembly of them, each beside node:wasi: what it prints, how it ends and what it leaves. */
import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BUILT, lacking } from "./built.ts";

const XENO = path.resolve("node_modules/.bin/xeno");
const SOURCES = path.resolve("test/world/languages");
/** A trap is 134 here, as for a shell; what node:wasi throws of one is an error of WebAssembly's, or what nobody caught in it. */
const TRAP = 134;
const PEER = `
import { readFileSync } from "node:fs";
import { WASI } from "node:wasi";
const wasi = new WASI({ version: "preview1", args: process.argv.slice(3), preopens: { "/": ".", ".": "." }, returnOnExit: true });
const imports = { ...wasi.getImportObject(), env: { emscripten_notify_memory_growth() {} } };
const instance = await WebAssembly.instantiate(await WebAssembly.compile(readFileSync(process.argv[2])), imports);
try {
  process.exitCode = wasi.start(instance);
} catch (error) {
  if (!(error instanceof WebAssembly.RuntimeError || error instanceof WebAssembly.Exception)) throw error;
  process.exitCode = ${TRAP};
}
`;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), "xeno-built-"));
  writeFileSync(path.join(folder, "peer.mjs"), PEER);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Ended {
  code: number;
  stdout: string;
  left: Record<string, string>;
}

function filesBelow(at: string): Record<string, string> {
  const names = readdirSync(at, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const files = names.map((entry) => path.join(entry.parentPath, entry.name)).sort();
  return Object.fromEntries(files.map((file) => [path.relative(at, file), readFileSync(file, "utf8")]));
}

async function ended(files: Readonly<Record<string, string>>, program: string, ...args: string[]): Promise<Ended> {
  const cwd = mkdtempSync(path.join(folder, "work-"));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(cwd, name)), { recursive: true });
    writeFileSync(path.join(cwd, name), text);
  }
  const { code, stdout } = await promisify(execFile)(program, args, { cwd }).then(
    (done) => ({ ...done, code: 0 }),
    (error: { code: number; stdout: string }) => error,
  );
  return { code, stdout, left: filesBelow(cwd) };
}

describe.each(BUILT)("$made", (program) => {
  const lacks = lacking(program);
  if (lacks.length > 0) console.warn(`SKIPPED: ${program.made} needs ${lacks.join(", ")}`);
  it.skipIf(lacks.length > 0)("does as under node:wasi", async () => {
    const made = mkdtempSync(path.join(folder, "made-"));
    cpSync(SOURCES, made, { recursive: true });
    const module = path.join(made, await program.build(made, folder));
    const { files = {}, asked } = program;
    for (const [i, args] of asked.entries()) {
      const peer = await ended(
        files,
        process.execPath,
        "--no-warnings",
        path.join(folder, "peer.mjs"),
        module,
        path.basename(module),
        ...args,
      );
      if (i === 0) expect(peer.stdout).toMatch(program.says);
      expect(await ended(files, XENO, "run", "--local", "-q", "--dir", ".", module, ...args), args.join(" ")).toEqual(peer);
    }
  });
});
