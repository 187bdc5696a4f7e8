/** What making a module ready costs is counted alike by a run, by one with breakpoints, and by a segment from any of its states. */
import { expect, it } from "vitest";
import wabtInit from "wabt";
import { preparationFuel, prepareModule, runJob, type Job } from "@xenoservers/engine";
import { cases } from "../thorough.ts";
import { generateModule } from "./generate.ts";
import { padded } from "./padded.ts";
import { built, checkSegments, compiled, jobOf, shown, traced } from "./traced.ts";

const FUEL = 1n << 40n;
const PADDING_BYTES = 130 * 1024;
const assembled = async (text: string): Promise<Uint8Array> =>
  (await wabtInit()).parseWat("t.wat", text, { threads: true }).toBinary({}).buffer.slice();
const ran = (module: Uint8Array, over: Partial<Job> = {}) => {
  const prepared = prepareModule(module);
  if (!prepared.ok) throw new Error(prepared.message);
  const out: Uint8Array[] = [];
  return shown(runJob({ ...jobOf(compiled(prepared.bytes), out, FUEL), ...over }), out);
};

it("is charged by a module's length alone, once, and before anything of it runs", async () => {
  const small = await assembled(`(module
    (import "wasi_snapshot_preview1" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))
    (memory (export "memory") 1) (func (export "_start") (drop (call $time (i32.const 1) (i64.const 0) (i32.const 0)))))`);
  const large = padded(small, 200_000);
  const [plain, paid, price] = [ran(small), ran(large), preparationFuel(large.length)];
  expect([price, paid.fuel - plain.fuel]).toEqual([3n * 2n ** 24n, price]);
  expect(ran(large, { comesWithEngine: true }).fuel).toBe(plain.fuel);
  // what is left is too little for the first instruction, or enough for all of them
  for (const fuelMax of [1n, price]) expect(ran(large, { fuelMax })).toMatchObject({ ending: { kind: "fuel-limit" }, fuel: price });
  expect(ran(large, { fuelMax: paid.fuel + 1n }).ending).toEqual({ kind: "exit", code: 0 });
});

it("reads no code of a module that needs more memory than was ordered", async () => {
  const module = await assembled(`(module (memory (export "memory") 2) (func (export "_start") (atomic.fence)))`);
  expect(prepareModule(module)).toMatchObject({ ok: false, kind: "malformed", message: expect.stringContaining("atomic") });
  expect(prepareModule(module, false, 1)).toMatchObject({
    ok: false,
    kind: "memory-limit",
    message: expect.stringContaining("1 MiB of memory"),
  });
});

it("stands before everything that a job does, in every build and segment of it", () => {
  let segments = 0;
  for (let seed = 1; seed <= cases(4, 12); seed++) {
    const large = padded(generateModule(seed, true), PADDING_BYTES);
    const build = built(large);
    if (!build) continue;
    const paid = ran(large);
    const price = preparationFuel(large.length);
    expect(price).toBe(2n ** 25n);
    expect(BigInt(paid.fuel), `seed ${seed}`).toBeGreaterThanOrEqual(price);
    for (const step of [price / 3n, price + (BigInt(paid.fuel) - price) / 2n + 1n]) {
      const trace = traced(build, step, FUEL);
      expect(trace.result, `seed ${seed}`).toEqual(paid);
      checkSegments(build, step, trace, FUEL);
      segments += trace.states.length;
    }
  }
  expect(segments).toBeGreaterThan(8);
});
