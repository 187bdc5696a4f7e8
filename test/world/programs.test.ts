/** Others' programs, from npm, each beside node:wasi or a native tool of its kind on the same input: their compilers, runtimes and habits. */
import { execFile, execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { packed } from "./packed.ts";
import { PROGRAMS, type Program } from "./programs.ts";

const XENO = path.resolve("node_modules/.bin/xeno");
const FROM_PACKAGE = "PACKAGE:";

const PEER = path.resolve("bench/lib/module-peer.mjs");

let folder: string;
beforeAll(() => void (folder = mkdtempSync(path.join(tmpdir(), "xeno-world-"))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A fresh folder with what the program finds. */
function workFolder({ files = {} }: Program, from: string): string {
  const work = mkdtempSync(path.join(folder, "work-"));
  for (const [name, what] of Object.entries(files)) {
    const to = path.join(work, name);
    mkdirSync(path.dirname(to), { recursive: true });
    const source = path.join(from, what.slice(FROM_PACKAGE.length));
    if (!what.startsWith(FROM_PACKAGE)) writeFileSync(to, what);
    else if (source.endsWith(".tar.gz")) execFileSync("tar", ["xzf", source, "-C", to]);
    else cpSync(source, to, { recursive: true });
  }
  return work;
}

async function answerOf(program: Program, command: string, args: readonly string[], from: string): Promise<string | null> {
  const cwd = workFolder(program, from);
  const { stdout } = await promisify(execFile)(command, [...args], { cwd, maxBuffer: 1 << 24 });
  if (program.leaves !== undefined) return readFileSync(path.join(cwd, program.leaves)).toString("base64");
  return program.answer?.exec(stdout)?.[0] ?? null;
}

describe.each(PROGRAMS)("$made", (program) => {
  it("answers as its peer does", async () => {
    const from = packed(program.package, folder);
    const module = path.join(from, program.module);
    const wasi = [process.execPath, "--no-warnings", PEER, module, path.basename(module), ...program.args] as const;
    const [peer, ...peerArgs] = program.peer ?? wasi;
    const expected = await answerOf(program, peer, peerArgs, from);
    expect(expected?.length).toBeGreaterThan(10);
    const ours = ["run", "--local", "-q", "--mem", "1G", "--dir", ".", module, ...program.args];
    expect(await answerOf(program, XENO, ours, from)).toBe(expected);
  });
});
