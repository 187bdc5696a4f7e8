/** The engine's promise on generated modules: nothing that V8 may do differently shows in a result. `npm run bench -- engine` does more of them. */
import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { prepareModule } from "@xenoservers/engine";
import { Random } from "../../packages/testkit/src/random.ts";
import { cases } from "../thorough.ts";
import { generateModule } from "./generate.ts";
import { mutate } from "./mutate.ts";

const script = path.join(import.meta.dirname, "run-generated.ts");
const MODULES = cases(25, 150);
const TRACED = cases(8, 100);
const THROWING = cases(60, 1_000);
const DAMAGED = cases(1_000, 2_000);
const LIFTOFF = ["--liftoff-only"];
const TURBOFAN = ["--no-liftoff", "--no-wasm-tier-up"];

async function linesOf(flags: readonly string[], file: string, args: readonly string[]): Promise<string[]> {
  const { stdout } = await promisify(execFile)(process.execPath, ["--stack-size=6144", ...flags, file, ...args], { maxBuffer: 1 << 24 });
  return stdout.trim().split("\n");
}
const lines = (flags: readonly string[]): Promise<string[]> => linesOf(flags, script, ["1", String(MODULES)]);
/** Few modules end soon by themselves; some of them stand here. */
const plainLines = (flags: readonly string[]): Promise<string[]> => linesOf(flags, script, ["90", "40", "plain"]);

describe("determinism", () => {
  it("gives the same ending, fuel and memory under every compiler tier and stack size", async () => {
    const reference = await lines(LIFTOFF);
    expect(reference).toHaveLength(MODULES);
    expect(reference.filter((line) => line.includes("refused"))).toEqual([]);
    const endings = new Set(reference.map((line) => /"kind":"([a-z-]+)"/.exec(line)?.[1]));
    for (const kind of ["exit", "trap", "fuel-limit", "memory-limit"]) expect(endings).toContain(kind);
    for (const flags of [TURBOFAN, [], ["--stack-size=7000", "--no-wasm-inlining"]]) expect(await lines(flags)).toEqual(reference);
  });

  it("gives the same where programs throw, with NaNs among what their exceptions carry", async () => {
    const thrown = (flags: readonly string[]): Promise<string[]> => linesOf(flags, script, ["1", String(THROWING), "exceptions"]);
    const reference = await thrown(LIFTOFF);
    expect(reference.filter((line) => line.includes("nothing caught")).length).toBeGreaterThan(THROWING / 20);
    expect(reference.filter((line) => line.includes("refused"))).toEqual([]);
    expect(await thrown(TURBOFAN)).toEqual(reference);
  });

  it("meets its own limit on the stack before V8's, whatever calls itself and however it was compiled", async () => {
    const recursion = path.join(import.meta.dirname, "run-recursion.ts");
    const reference = await linesOf(LIFTOFF, recursion, []);
    expect(reference.filter((line) => !line.includes("call stack exhausted"))).toEqual([]);
    const otherwise = [
      ["--no-liftoff", "--wasm-inlining-max-size=2000", "--wasm-inlining-budget=20000", "--wasm-inlining-factor=20"],
      TURBOFAN,
      [],
    ];
    for (const flags of otherwise.slice(0, cases(1, otherwise.length))) expect(await linesOf(flags, recursion, [])).toEqual(reference);
    // the frames that a build with breakpoints has are counted alike, however large they are
    for (const flags of [LIFTOFF, []]) expect(await linesOf(flags, recursion, ["traced"])).toEqual(reference);
  });

  it("gives the same states under every compiler tier, whatever NaNs wait on the call stack", async () => {
    const traced = (flags: readonly string[]): Promise<string[]> => linesOf(flags, script, ["1", String(TRACED), "traced"]);
    const reference = await traced(LIFTOFF);
    expect(reference.filter((line) => line.split(" ").some((word) => /^[0-9a-f]{64}$/.test(word))).length).toBeGreaterThan(TRACED / 4);
    for (const flags of [TURBOFAN, []]) expect(await traced(flags)).toEqual(reference);
  });

  it("has something to hide: the same modules as they were differ between tiers", async () => {
    expect(await plainLines(LIFTOFF)).not.toEqual(await plainLines(TURBOFAN));
  });

  it("rewrites to the same bytes each time", () => {
    for (const seed of [1, 2, 3])
      for (const breakpoints of [false, true])
        expect(prepareModule(generateModule(seed, true), breakpoints)).toEqual(prepareModule(generateModule(seed, true), breakpoints));
  });

  it("refuses damaged modules in words, and never makes one that the platform rejects", () => {
    const random = new Random(7);
    let accepted = 0;
    for (let i = 0; i < DAMAGED; i++) {
      const prepared = prepareModule(mutate(generateModule(1 + (i % 40), i % 2 === 0), random), i % 4 < 2);
      if (!prepared.ok) expect(prepared.message).not.toBe("");
      else {
        accepted++;
        expect(WebAssembly.validate(prepared.bytes as Uint8Array<ArrayBuffer>)).toBe(true);
      }
    }
    expect(accepted).toBeGreaterThan(10);
  });
});
