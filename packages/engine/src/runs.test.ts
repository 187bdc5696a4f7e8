/** Several runs of one module in one: each as if it were alone, counted together, and to the same end wherever it is stopped. */
import { createHash } from "node:crypto";
import wabtInit from "wabt";
import { describe, expect, it } from "vitest";
import { prepareModule } from "./run.ts";
import { RUN_FUEL, runJobs, seededRandom, type RunDone, type RunsFinished } from "./index.ts";
import type { Job } from "./machine.ts";
import { thoroughly } from "../../../test/thorough.ts";

/**
 * Prints a letter from its memory, which it raises; spins for its first argument's letter; then ends by the second: `e` with 7, `t` by a
 * trap after a loop that calls nothing, else with 0.
 */
const MODULE = `(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (global $runs (mut i32) (i32.const 65))
  (func $say (i32.store (i32.const 0) (i32.const 100)) (i32.store (i32.const 4) (i32.const 1))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
  (func (export "_start") (local $i i32)
    (drop (call $args (i32.const 1000) (i32.const 2000)))
    (i32.store8 (i32.const 100) (i32.add (global.get $runs) (i32.load8_u (i32.const 101))))
    (global.set $runs (i32.const 90)) (i32.store8 (i32.const 101) (i32.const 9))
    (call $say)
    (drop (call $random (i32.const 100) (i32.const 1)))
    (call $say)
    (local.set $i (i32.mul (i32.sub (i32.load8_u (i32.const 2000)) (i32.const 48)) (i32.const 100000)))
    (loop $spin (local.set $i (i32.sub (local.get $i) (i32.const 1))) (br_if $spin (i32.gt_s (local.get $i) (i32.const 0))))
    (if (i32.eq (i32.load8_u (i32.const 2001)) (i32.const 116)) (then unreachable))
    (call $say)
    (if (i32.eq (i32.load8_u (i32.const 2001)) (i32.const 101)) (then (call $exit (i32.const 7))))))`;

const prepared = (async () => {
  const bytes = (await wabtInit()).parseWat("t.wat", MODULE).toBinary({}).buffer;
  const made = prepareModule(new Uint8Array(bytes));
  if (!made.ok) throw new Error(made.message);
  return new WebAssembly.Module(made.bytes as Uint8Array<ArrayBuffer>);
})();

interface Did {
  finished: RunsFinished;
  printed: Buffer;
  kept: number[];
}

async function does(
  args: readonly string[],
  { fuelMax = 10n ** 12n, streamBytesMax = 1_000, stopsAt = Infinity, keeps = (_index: number): boolean => true } = {},
): Promise<Did> {
  const module = await prepared;
  const pieces: Uint8Array[] = [];
  const kept: number[] = [];
  let calls = 0;
  const jobs = args.map((arg, index) => (): Job => ({
    ...{ module, mounts: [], stdin: new Uint8Array(), fuelMax: 1n, memoryPagesMax: 1, diskBytesMax: 1_000_000, streamBytesMax: 0 },
    world: { args: [arg], env: [], clockBaseNs: 0n, random: seededRandom(new Uint8Array(32).fill(index + 1)) },
    sha256: (bytes) => createHash("sha256").update(bytes).digest(),
    isStopped: () => ++calls > stopsAt,
    stdout: (bytes) => void pieces.push(bytes.slice()),
    stderr: () => {},
  }));
  const keep = (index: number): boolean => keeps(index) && kept.push(index) > 0;
  const finished = runJobs({ jobs, fuelMax, streamBytesMax, keep }, (start) => (start(), true));
  return { finished, printed: Buffer.concat(pieces), kept };
}

const ends = (done: readonly RunDone[]): string[] => done.map(({ ending }) => (ending.kind === "exit" ? String(ending.code) : ending.kind));
const total = (done: readonly RunDone[]): bigint => done.reduce((sum, { fuel }) => sum + fuel, 0n);

describe("runs of one module", () => {
  it("are each what they would be alone: memory, globals, randomness, and fuel but for what beginning costs", async () => {
    const { finished, printed, kept } = await does(["1x", "2e", "1x"]);
    expect([finished.ending, ends(finished.done), kept]).toEqual([{ kind: "exit", code: 0 }, ["0", "7", "0"], [0, 1, 2]]);
    expect(finished.done.map(({ stdoutBytes }) => stdoutBytes)).toEqual([3, 3, 3]);
    expect([printed[0], printed[3], printed[6]]).toEqual([65, 65, 65]);
    expect(printed[1]).not.toBe(printed[7]);
    expect(finished.fuel).toBe(total(finished.done));
    const alone = await does(["1x"]);
    expect([alone.finished.done[0]?.fuel, alone.printed]).toEqual([finished.done[0]?.fuel, printed.subarray(0, 3)]);
    expect(finished.done[0]?.fuel).toBeGreaterThan(RUN_FUEL);
    expect(await does(["1x", "2e", "1x"])).toEqual({ finished, printed, kept });
  });

  it("follow an exit of any code, and none follows a trap, whose fuel is not exact", async () => {
    const { finished } = await does(["1e", "1t", "1x"]);
    expect([finished.ending, ends(finished.done)]).toEqual([{ kind: "exit", code: 0 }, ["7", "trap"]]);
  });

  it("have one limit of fuel and one of output; the one that meets it does not count", async () => {
    const { finished: whole } = await does(["1x", "1x", "1x"]);
    const [first] = whole.done;
    const cut = await does(["1x", "1x", "1x"], { fuelMax: first!.fuel * 2n - 100_000n });
    expect([cut.finished.ending.kind, cut.finished.done.length]).toEqual(["fuel-limit", 1]);
    expect(cut.finished.fuel).toBeGreaterThanOrEqual(first!.fuel * 2n - 100_000n);
    expect((await does(["1x"], { fuelMax: RUN_FUEL })).finished).toMatchObject({
      ending: { kind: "fuel-limit" },
      fuel: RUN_FUEL,
      done: [],
    });
    const full = await does(["1x", "1x", "1x"], { streamBytesMax: 7 });
    expect([full.finished.ending.kind, full.finished.done.length, full.printed.length]).toEqual(["output-limit", 2, 7]);
    const more = await does(["1x", "1x", "1x"], { keeps: (index) => index < 1 });
    expect([more.finished.ending.kind, more.finished.done.length]).toEqual(["output-limit", 1]);
  });

  it("that are stopped anywhere come to the same where they are repeated with the fuel that was used as the limit", async () => {
    const args = ["1x", "2e", "3x", "1t"];
    const { length: calls } = (await does(args)).printed;
    for (let stopsAt = 0; stopsAt < 2 * calls + 2; stopsAt++) {
      const { finished, printed, kept } = await does(args, { stopsAt });
      if (finished.ending.kind !== "stopped") continue;
      expect(finished.fuel).toBeGreaterThan(0n);
      const again = await does(args, { fuelMax: finished.fuel });
      expect([again.finished.ending.kind, again.finished.fuel], `call ${stopsAt}`).toEqual(["fuel-limit", finished.fuel]);
      expect([again.printed, again.kept, again.finished.done]).toEqual([printed, kept, finished.done]);
    }
  });

  it("that are interrupted before they have called anything have used what it costs to begin", async () => {
    const module = await prepared;
    const job = (): Job => ({
      ...{ module, mounts: [], stdin: new Uint8Array(), fuelMax: 1n, memoryPagesMax: 1, diskBytesMax: 1_000_000, streamBytesMax: 0 },
      world: { args: ["1x"], env: [], clockBaseNs: 0n, random: seededRandom(new Uint8Array(32)) },
      sha256: (bytes) => createHash("sha256").update(bytes).digest(),
      ...{ stdout: () => {}, stderr: () => {} },
    });
    let begun = 0;
    const stopped = runJobs({ jobs: [job, job], fuelMax: 10n ** 12n, streamBytesMax: 1_000, keep: () => true }, (start) => {
      if (++begun === 2) return false;
      start();
      return true;
    });
    expect(stopped).toMatchObject({ ending: { kind: "stopped" }, memoryHash: null, fuel: stopped.done[0]!.fuel + RUN_FUEL });
    const again = await does(["1x", "1x"], { fuelMax: stopped.fuel });
    expect([again.finished.ending.kind, again.finished.fuel, again.finished.done.length]).toEqual(["fuel-limit", stopped.fuel, 1]);
  });

  thoroughly(
    "pay for looking through more memory than one job may have, as the next begins, and for no more than was allowed",
    async () => {
      const bytes = (await wabtInit())
        .parseWat("m.wat", '(module (memory (export "memory") 24576) (func (export "_start")))')
        .toBinary({}).buffer;
      const made = prepareModule(new Uint8Array(bytes));
      if (!made.ok) throw new Error(made.message);
      const module = new WebAssembly.Module(made.bytes as Uint8Array<ArrayBuffer>);
      const job = (index: number) => (): Job => ({
        ...{ module, mounts: [], stdin: new Uint8Array(), fuelMax: 1n, memoryPagesMax: 24_576, diskBytesMax: 0, streamBytesMax: 0 },
        world: { args: [], env: [], clockBaseNs: 0n, random: seededRandom(new Uint8Array(32).fill(index)) },
        sha256: (from) => createHash("sha256").update(from).digest(),
        comesWithEngine: true,
        ...{ isStopped: () => false, stdout: () => {}, stderr: () => {} },
      });
      const of = (count: number, fuelMax = 10n ** 12n): RunsFinished =>
        runJobs(
          { jobs: Array.from({ length: count }, (_, i) => job(i)), fuelMax, streamBytesMax: 1, keep: () => true },
          (start) => (start(), true),
        );
      const four = of(4);
      expect(four.done.map(({ fuel }) => fuel - four.done[0]!.fuel)).toEqual([0n, 0n, 0n, (3n * 24_576n - 65_536n) * 200_000n]);
      expect(four.fuel).toBe(total(four.done));
      expect(of(3).fuel).toBe(3n * four.done[0]!.fuel);
      const short = of(4, 3n * four.done[0]!.fuel + RUN_FUEL + 1n);
      expect([short.ending.kind, short.done.length, short.fuel]).toEqual(["fuel-limit", 3, 3n * four.done[0]!.fuel + RUN_FUEL + 1n]);
      expect(of(4, short.fuel)).toEqual(short);
    },
  );
});
