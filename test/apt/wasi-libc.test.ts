import { createHash } from "node:crypto";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { fileEntry, prepareModule, runJob, seededRandom } from "@xenoservers/engine";

const installed = existsSync("/usr/bin/clang") && existsSync("/usr/include/wasm32-wasi/stdio.h");
if (!installed) console.warn("SKIPPED: clang and wasi-libc are not installed");

describe.skipIf(!installed)("programs compiled with Debian's clang and wasi-libc", () => {
  it("finds every file call behaving as its C library expects", () => {
    const folder = mkdtempSync(path.join(tmpdir(), "xeno-wasi-"));
    try {
      const target = path.join(folder, "files.wasm");
      execFileSync("clang", ["--target=wasm32-wasi", "-O1", "-o", target, path.join(import.meta.dirname, "c/files.c")]);
      const prepared = prepareModule(readFileSync(target));
      if (!prepared.ok) throw new Error(prepared.message);
      let output = "";
      const encode = (text: string) => new TextEncoder().encode(text);
      const { ending } = runJob({
        module: new WebAssembly.Module(prepared.bytes as Uint8Array<ArrayBuffer>) as never,
        world: {
          args: ["files", "one", "two"],
          env: [],
          clockBaseNs: 0n,
          random: seededRandom(new Uint8Array(32)),
        },
        mounts: [
          { path: "/in", writable: false, entries: [fileEntry("given", encode("x"))] },
          { path: "/out", writable: true, entries: [] },
        ],
        preopens: [
          { name: "/", path: "/out" },
          { name: "/in", path: "/in" },
          { name: "/out", path: "/out" },
        ],
        stdin: encode("s"),
        fuelMax: 10n ** 12n,
        memoryPagesMax: 1024,
        sha256: (bytes) => createHash("sha256").update(bytes).digest(),
        diskBytesMax: 1 << 24,
        streamBytesMax: 1 << 20,
        stdout: (bytes) => void (output += Buffer.from(bytes).toString()),
        stderr: () => {},
      });
      expect(output).toBe("0 failures\n");
      expect(ending).toEqual({ kind: "exit", code: 0 });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
