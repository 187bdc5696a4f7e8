/** What current compilers emit runs: one program in C++ and in Rust, from Debian's packages, twice with the same fuel and memory. */
import { createHash } from "node:crypto";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { prepareModule, runJob, seededRandom } from "@xenoservers/engine";

const HERE = import.meta.dirname;
/** Debian's own compilers: others of the same name may stand before them in the path, without these targets. */
const RUSTC = "/usr/bin/rustc";
const languages = [
  {
    name: "C++ with iostreams and maps (clang, libc++)",
    installed: existsSync("/usr/bin/clang++") && existsSync("/usr/include/wasm32-wasi/c++/v1/iostream"),
    build: (target: string) =>
      execFileSync("clang++", [
        "--target=wasm32-wasi",
        "-O2",
        "-fno-exceptions",
        "-std=c++17",
        path.join(HERE, "cc/words.cc"),
        "-o",
        target,
      ]),
  },
  {
    name: "Rust with its standard library (rustc)",
    installed: existsSync(RUSTC) && existsSync("/usr/lib/rustlib/wasm32-wasi"),
    build: (target: string) => execFileSync(RUSTC, ["--target", "wasm32-wasi", "-O", path.join(HERE, "rust/words.rs"), "-o", target]),
  },
];

function run(bytes: Uint8Array) {
  let stdout = "";
  const finished = runJob({
    module: new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>) as never,
    world: { args: ["words", "counted"], env: [], clockBaseNs: 0n, random: seededRandom(new Uint8Array(32)) },
    mounts: [{ path: "/out", writable: true, entries: [] }],
    stdin: new TextEncoder().encode("b a b c"),
    fuelMax: 10n ** 12n,
    memoryPagesMax: 1024,
    diskBytesMax: 1 << 20,
    streamBytesMax: 1 << 20,
    sha256: (value) => createHash("sha256").update(value).digest(),
    stdout: (chunk) => void (stdout += Buffer.from(chunk).toString()),
    stderr: (chunk) => void (stdout += Buffer.from(chunk).toString()),
  });
  const [file] = [...finished.treeAt("/out")];
  return {
    stdout,
    ending: finished.ending,
    fuel: finished.fuel,
    memory: Buffer.from(finished.memoryHash!).toString("hex"),
    file: file?.kind === "file" ? Buffer.concat([...file.chunks()]).toString() : null,
  };
}

for (const { name, installed, build } of languages) {
  if (!installed) console.warn(`SKIPPED: ${name} is not installed`);
  describe.skipIf(!installed)(name, () => {
    it("runs, and comes to the same twice", () => {
      const folder = mkdtempSync(path.join(tmpdir(), "xeno-language-"));
      try {
        const target = path.join(folder, "words.wasm");
        build(target);
        const prepared = prepareModule(readFileSync(target));
        if (!prepared.ok) throw new Error(prepared.message);
        const [first, second] = [run(prepared.bytes), run(prepared.bytes)];
        expect(first).toMatchObject({ stdout: "counted 3\n", ending: { kind: "exit", code: 3 }, file: "a 1\nb 2\nc 1\n" });
        expect(second).toEqual(first);
      } finally {
        rmSync(folder, { recursive: true });
      }
    });
  });
}
