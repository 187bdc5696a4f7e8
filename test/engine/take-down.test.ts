/** Control flow of every shape, taken down in the middle and wound up again; and that no state says under which limit its job ran. */
import { describe, expect, it } from "vitest";
import { prepareModule, runJob, traceJob } from "@xenoservers/engine";
import { cases } from "../thorough.ts";
import { assembled } from "./assembled.ts";
import { generateControl } from "./generate-control.ts";
import { built, checkSegments, compiled, jobOf, shown, traced } from "./traced.ts";

const SEEDS = cases(8, 100);
/** Breakpoints in one run. */
const STEPS = 12n;
const FUEL = 30_000n;

/** Runs the module plain and traced, and goes on from each of its states; how many there were. */
function checkAll(module: Uint8Array, fuelMax: bigint, what: string, steps = STEPS): number {
  const [fast, build] = [prepareModule(module), built(module)];
  if (!fast.ok || !build) throw new Error(`${what} is refused`);
  const out: Uint8Array[] = [];
  const reference = shown(runJob(jobOf(compiled(fast.bytes), out, fuelMax)), out);
  const step = reference.fuel / steps + 1n;
  const trace = traced(build, step, fuelMax);
  expect(trace.result, what).toEqual(reference);
  checkSegments(build, step, trace, fuelMax);
  return trace.states.length;
}

const SHAPES: Record<string, string> = {
  "a table of branches out of blocks, each with a call behind it": `
    (func $tick (param i32) (result i32) (local $n i32)
      (local.set $n (i32.const 5))
      (loop $l (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (i32.add (local.get 0) (i32.const 1)))
    (func (export "_start") (local $i i32) (local $s i32)
      (loop $again
        (block $c
          (block $b
            (block $a
              (local.set $s (i32.add (local.get $s) (call $tick (local.get $i))))
              (br_table $a $b $c $a (i32.rem_u (local.get $i) (i32.const 5))))
            (local.set $s (i32.mul (local.get $s) (call $tick (i32.const 2))))
            (local.set $i (i32.add (local.get $i) (call $tick (i32.const 0))))
            (br_if $again (i32.lt_u (local.get $i) (i32.const 40))))
          (if (i32.and (call $tick (local.get $s)) (i32.const 1))
            (then (local.set $s (i32.xor (local.get $s) (call $tick (i32.const 7)))))
            (else (local.set $s (i32.sub (local.get $s) (call $tick (i32.const 9)))))))
        (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 40))))
      (i32.store (i32.const 0) (local.get $s)))`,
  "values below calls, of every type and with every bit of their NaNs": `
    (global $f (mut f32) (f32.const nan:0x123)) (global $d (mut f64) (f64.const nan:0x4567))
    (func $tick (result i32) (local $n i32)
      (local.set $n (i32.const 9)) (loop $l (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))) (i32.const 4))
    (func (export "_start") (local $i i32) (local $v v128) (local $e externref)
      (local.set $i (i32.const 12))
      (local.set $v (v128.const i64x2 0x7ff0000000000001 0xfff4000000000003))
      (loop $again
        i32.const 0 global.get $f i32.const 8 global.get $d i32.const 48 (f64.div (f64.const 0) (f64.const 0))
        i32.const 16 local.get $v i32.const 32 i64.const -5 call $tick
        drop i64.store v128.store f64.store f64.store f32.store
        (global.set $f (f32.neg (global.get $f)))
        (br_if $again (local.tee $i (i32.sub (local.get $i) (i32.const 1))))))`,
  "loops and ifs with parameters and many results": `
    (type $two (func (param i32 i64) (result i64 i32)))
    (func $swap (type $two) (local $n i32)
      (local.set $n (i32.const 3)) (loop $l (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (local.get 1) (local.get 0))
    (func (export "_start") (local $i i32) (local $n i32) (local $k i64)
      (local.set $i (i32.const 30))
      i32.const 64 i32.const 1 i64.const 2
      loop $again (param i32 i64) (result i64 i32)
        call $swap
        local.get $i i32.const 1 i32.and
        if (param i64 i32) (result i32 i64)
          local.set $n local.set $k local.get $n local.get $k
          call $swap
          local.set $n local.set $k local.get $n i32.const 5 i32.xor local.get $k
        else
          local.set $n local.set $k local.get $n local.get $k
        end
        call $swap
        local.set $n local.set $k local.get $n i32.const 1 i32.add local.get $k i64.const 3 i64.mul
        local.get $i i32.const 1 i32.sub local.tee $i br_if $again
        call $swap
      end
      drop i64.store)`,
  "recursion through a table": `
    (type $t (func (param i32) (result i32)))
    (table 4 funcref) (elem (i32.const 0) $even $odd $fib $even)
    (func $even (type $t) (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 1))
      (else (call_indirect (type $t) (i32.sub (local.get 0) (i32.const 1)) (i32.const 1)))))
    (func $odd (type $t) (if (i32.eqz (local.get 0)) (then (return (i32.const 0))))
      (call_indirect (type $t) (i32.sub (local.get 0) (i32.const 1)) (i32.mul (i32.const 3) (i32.and (local.get 0) (i32.const 1)))))
    (func $fib (type $t) (if (i32.lt_u (local.get 0) (i32.const 2)) (then (return (local.get 0))))
      (i32.add (call_indirect (type $t) (i32.sub (local.get 0) (i32.const 1)) (i32.const 2))
        (call_indirect (type $t) (i32.sub (local.get 0) (i32.const 2)) (i32.const 2))))
    (func (export "_start")
      (i32.store (i32.const 0) (call $even (i32.const 90)))
      (i32.store (i32.const 4) (call $fib (i32.const 11))))`,
  "a start function that runs first": `
    (global $n (mut i64) (i64.const 1))
    (func $start (local $i i32) (local.set $i (i32.const 200))
      (loop $l (global.set $n (i64.mul (global.get $n) (i64.const 3))) (br_if $l (local.tee $i (i32.sub (local.get $i) (i32.const 1))))))
    (start $start)
    (func (export "_start") (call $start) (i64.store (i32.const 0) (global.get $n)))`,
};

const moduleOf = (code: string): Uint8Array => assembled(`(module (memory (export "memory") 1) ${code})`);

describe("a call stack", () => {
  it.each(Object.entries(SHAPES))("is the same again: %s", (what, code) => {
    expect(checkAll(moduleOf(code), FUEL, what, 40n)).toBeGreaterThan(20);
  });

  it("is the same again in random control flow", () => {
    let states = 0;
    for (let seed = 1; seed <= SEEDS; seed++) states += checkAll(assembled(generateControl(seed)), FUEL, `seed ${seed}`);
    expect(states).toBeGreaterThan(SEEDS * 2);
  });

  it.each([
    ["a tail call", '(func $f) (func (export "_start") (return_call $f))', "a tail call"],
    [
      "a function reference that waits",
      '(func $f) (elem declare func $f) (func (export "_start") (local funcref) (local.set 0 (ref.func $f)) (call $f))',
      "a function reference kept over a call",
    ],
    [
      "a function reference that changes",
      '(global (mut funcref) (ref.null func)) (func (export "_start"))',
      "a mutable global that is a function reference",
    ],
    ["a table that changes", '(table 1 funcref) (func (export "_start") (table.set (i32.const 0) (ref.null func)))', "changes a table"],
  ])("is not taken down with %s, and the job runs all the same", (_what, code, why) => {
    expect(prepareModule(moduleOf(code))).toMatchObject({ ok: true });
    expect(prepareModule(moduleOf(code), true)).toMatchObject({ ok: false, message: expect.stringMatching(`${why}.*no breakpoints`) });
  });

  it("has no states that depend on the job's limit of fuel", () => {
    for (const module of [...Object.values(SHAPES).map(moduleOf), ...[3, 5, 7].map((seed) => assembled(generateControl(seed)))]) {
      const build = built(module)!;
      const whole = traced(build, 200n, FUEL);
      expect(whole.states.length).toBeGreaterThan(2);
      const enough = whole.states.at(-1)!.state.fuel;
      for (const fuelMax of [FUEL * 1_000_000n, enough + 1n, enough / 2n, enough / 3n]) {
        const { states } = traced(build, 200n, fuelMax);
        const reached = whole.states.filter(({ state }) => state.fuel < fuelMax);
        expect(states.slice(0, reached.length).map(({ state }) => state.root)).toEqual(reached.map(({ state }) => state.root));
        for (const { state } of states.slice(reached.length)) expect(state.fuel).toBeLessThan(fuelMax);
      }
    }
  });

  it("goes on under another limit than the one that it was taken down under", () => {
    const build = built(moduleOf(SHAPES["recursion through a table"]!))!;
    const { result, states, pieces } = traced(build, 500n, FUEL);
    for (const { state } of states) {
      const from = { manifest: state.manifest, piece: (digest: string) => pieces.get(digest)! };
      const again = (fuelMax: bigint) => shown(traceJob(jobOf(build, [], fuelMax), { step: 500n, from, onBreakpoint: () => true })!, []);
      expect(again(FUEL * 1_000n)).toEqual(result);
      expect(again(state.fuel + 1n)).toMatchObject({ ending: { kind: "fuel-limit" } });
    }
  });
});
