/** Exceptions in both encodings: what a guest throws it catches, what stops it nothing does, and no fuel is lost on the way. */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { memoryHash } from "../../packages/engine/src/memory-hash.ts";
import { prepareModule, runJob, type Finished } from "@xenoservers/engine";
import { Random } from "../../packages/testkit/src/random.ts";
import { cases } from "../thorough.ts";
import { assembled } from "./assembled.ts";
import { generateControl } from "./generate-control.ts";
import type { Encoding } from "./generate-handlers.ts";
import { mutate } from "./mutate.ts";
import { compiled, jobOf } from "./traced.ts";

const sha256 = (bytes: Uint8Array): Uint8Array => createHash("sha256").update(bytes).digest();
const ENCODINGS: readonly Encoding[] = ["try", "try_table"];
const ENOUGH = 10_000_000n;

function run(text: string, fuelMax = ENOUGH): Finished & { stdout: string } {
  const prepared = prepareModule(assembled(text));
  if (!prepared.ok) throw new Error(prepared.message);
  const out: Uint8Array[] = [];
  return { ...runJob(jobOf(compiled(prepared.bytes), out, fuelMax)), stdout: Buffer.concat(out).toString() };
}
const refusalOf = (text: string, breakpoints = false): string => {
  const prepared = prepareModule(assembled(text), breakpoints);
  return prepared.ok ? "" : prepared.message;
};

/** Handles what `body` throws: `caught` follows with what $e carries, `all` catches everything. */
const handled: Record<Encoding, (body: string, caught: string, all?: string) => string> = {
  try: (body, caught, all) => `try ${body} catch $e ${caught} ${all === undefined ? "" : `catch_all ${all}`} end`,
  try_table: (body, caught, all) =>
    `block $out ${all === undefined ? "" : "block $all"} block $caught (result i32)
       try_table (catch $e $caught) ${all === undefined ? "" : "(catch_all $all)"} ${body} end br $out
     end ${caught} br $out ${all === undefined ? "" : `end ${all}`} end`,
};
const EXIT = '(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))';
const moduleOf = (functions: string): string => `(module ${EXIT} (tag $e (param i32)) (memory (export "memory") 1) ${functions})`;
const main = (body: string): string => moduleOf(`(func (export "_start") ${body})`);

describe.each(ENCODINGS)("exceptions written with %s", (encoding) => {
  const handle = handled[encoding];

  it("come to what they come to without the engine, whatever throws through what", () => {
    const endings = new Set<string>();
    for (let seed = 1; seed <= cases(60, 1_000); seed++) {
      const module = assembled(generateControl(seed, { encoding, exact: true }));
      const prepared = prepareModule(module);
      if (!prepared.ok) throw new Error(prepared.message);
      const { ending, memoryHash: hash } = runJob(jobOf(compiled(prepared.bytes), [], 1_000_000_000n));
      const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module as Uint8Array<ArrayBuffer>), {});
      let [plain, message] = ["exit", ""];
      try {
        (exports["_start"] as () => void)();
      } catch (error) {
        [plain, message] = ["trap", error instanceof WebAssembly.Exception ? "an exception that nothing caught" : (error as Error).message];
      }
      // where the platform's own stack ends is another place
      if (message.includes("call stack")) continue;
      expect([ending.kind, ending.kind === "trap" ? ending.message.slice(0, message.length) : ""], `seed ${seed}`).toEqual([
        plain,
        message,
      ]);
      expect(hash, `seed ${seed}`).toEqual(memoryHash(new Uint8Array((exports["memory"] as WebAssembly.Memory).buffer), sha256));
      endings.add(message || plain);
    }
    expect(endings).toContain("exit");
    expect(endings).toContain("an exception that nothing caught");
  });

  it("are no way around what ends a guest: an exit, a trap, the limit on its fuel", () => {
    const never = "unreachable";
    const around = (body: string): string => handle(handle(body, "drop", never), "drop", never);
    expect(run(main(around("i32.const 7 call $exit"))).ending).toEqual({ kind: "exit", code: 7 });
    expect(run(main(around("i32.const 1 i32.const 0 i32.div_u drop"))).ending).toMatchObject({ kind: "trap" });
    expect(run(main(around("loop br 0 end"))).ending).toEqual({ kind: "fuel-limit" });
    const deep = moduleOf(`(func $f ${handle("call $f", "drop", never)}) (func (export "_start") call $f)`);
    expect(run(deep).ending).toEqual({
      kind: "trap",
      message: expect.stringMatching(/^call stack exhausted in function \d+, called by /) as string,
    });
  });

  it("are caught again after the host's own went by", () => {
    const body = `${handle("i32.const 1 throw $e", "drop", "nop")} ${handle("i32.const 9 throw $e", "call $exit", "unreachable")}`;
    expect(run(main(body)).ending).toEqual({ kind: "exit", code: 9 });
  });

  it("lose no fuel when frames unwind, and pay for those", () => {
    const work = "(local $n i32) i32.const 1000 local.set $n loop local.get $n i32.const 1 i32.sub local.tee $n br_if 0 end";
    const deep = (end: string): string =>
      moduleOf(`(func $work ${work} ${end})
        (func $f (param i32) local.get 0 if local.get 0 i32.const 1 i32.sub call $f else call $work end)
        (func (export "_start") ${handle("i32.const DEPTH call $f", "drop")})`);
    const fuelOf = (end: string, depth: number): bigint => run(deep(end).replace("DEPTH", String(depth))).fuel;
    const thrown = fuelOf("i32.const 1 throw $e", 0);
    expect(thrown - fuelOf("", 0)).toBeGreaterThanOrEqual(1_000n);
    // the calls themselves, and at least a hundred bytes of stack for each
    expect(fuelOf("i32.const 1 throw $e", 100) - thrown).toBeGreaterThan(100n * 100n);
  });

  it("carry what the program made, with the bits of its NaNs fixed", () => {
    const text = `(module (tag $e (param i32 f64)) (memory (export "memory") 1)
      (func $f (param f64) i32.const 5 local.get 0 f64.const 0 f64.div throw $e)
      (func (export "_start") (local $d f64) f64.const 0
        ${
          encoding === "try"
            ? "local.set $d try local.get $d call $f catch $e local.set $d drop end"
            : "local.set $d block (result i32 f64) try_table (catch $e 0) local.get $d call $f end unreachable end local.set $d drop"
        }
        i32.const 0 local.get $d f64.store))`;
    const expected = new Uint8Array(65_536).fill(255, 0, 8);
    expect(run(text).memoryHash).toEqual(memoryHash(expected, sha256));
  });

  it("end a guest that catches none of its own, as a trap with words", () => {
    const ending = { kind: "trap", message: "an exception that nothing caught" };
    expect(run(main("i32.const 1 throw $e")).ending).toEqual(ending);
  });

  it("are bounded by the guest's stack where many are held at once", () => {
    const again = encoding === "try" ? "try i32.const 1 throw $e catch_all call $f end" : "";
    const held = `(local $x exnref) block (result exnref) try_table (catch_all_ref 0) i32.const 1 throw $e end unreachable end
      local.set $x call $f local.get $x drop`;
    const text = moduleOf(`(global $n (mut i32) (i32.const 0))
      (func $f i32.const 0 i32.const 0 i32.load i32.const 1 i32.add i32.store ${again} ${again === "" ? "call $g" : ""})
      (func $g ${again === "" ? held : ""}) (func (export "_start") call $f)`);
    const bytes = prepareModule(assembled(text));
    if (!bytes.ok) throw new Error(bytes.message);
    const { ending } = runJob(jobOf(compiled(bytes.bytes), [], 1_000_000_000n));
    expect(ending).toEqual({ kind: "trap", message: expect.stringMatching(/^call stack exhausted in function \d+, called by /) as string });
  });

  it("cost an owner no restart: a build with breakpoints is refused in words", () => {
    expect(refusalOf(main(handle("i32.const 1 throw $e", "drop")), true)).toContain("such a job has no breakpoints");
  });

  it("are refused or rewritten to what the platform takes, however damaged", () => {
    const random = new Random(11);
    let accepted = 0;
    for (let i = 0; i < cases(150, 2_000); i++) {
      const prepared = prepareModule(mutate(assembled(generateControl(1 + (i % 20), { encoding, exact: false })), random), i % 4 === 0);
      if (!prepared.ok) expect(prepared.message).not.toBe("");
      else {
        accepted++;
        expect(WebAssembly.validate(prepared.bytes as Uint8Array<ArrayBuffer>)).toBe(true);
      }
    }
    expect(accepted).toBeGreaterThan(0);
  });
});

it("refuses what would lie outside every account: imported kinds, tables and globals of exceptions, exceptions of many values", () => {
  const within = (fields: string): string => `(module ${fields} (memory (export "memory") 1) (func (export "_start")))`;
  expect(refusalOf(within('(import "env" "__cpp_exception" (tag (param i32)))'))).toContain("import of env.__cpp_exception");
  expect(refusalOf(within("(table 1 exnref)"))).toContain("a table of exceptions");
  expect(refusalOf(within("(global (mut exnref) (ref.null exn))"))).toContain("a global of exceptions");
  expect(refusalOf(within(`(tag (param ${"i64 ".repeat(17)}))`))).toContain("exception of 17 values");
  expect(refusalOf(within(`(tag (param ${"i64 ".repeat(16)}))`))).toBe("");
});
