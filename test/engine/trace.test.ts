/** The build with breakpoints: the same in everything as the fast one, taken down and set up again anywhere. */
import { describe, expect, it } from "vitest";
import wabtInit from "wabt";
import { statePiecesOf } from "@xenoservers/protocol";
import { BadState, prepareModule, runJob, traceJob } from "@xenoservers/engine";
import { Random } from "../../packages/testkit/src/random.ts";
import { segment } from "../../packages/guests/src/worker/breakpoints.ts";
import { cases } from "../thorough.ts";
import { generateModule } from "./generate.ts";
import { built, checkSegments, compiled, jobOf, shown, traced } from "./traced.ts";

const MODULES = cases(12, 25);

describe("a job taken down at breakpoints", () => {
  it("comes to the same as without, from every state on, for generated modules", () => {
    let [compared, breakpoints] = [0, 0];
    for (let seed = 1; seed <= MODULES; seed++) {
      const module = generateModule(seed, true);
      const [fast, build] = [prepareModule(module), built(module)];
      if (!fast.ok || !build) continue;
      const out: Uint8Array[] = [];
      const reference = shown(runJob(jobOf(compiled(fast.bytes), out)), out);
      const step = BigInt(reference.fuel) / 5n + 1n;
      const trace = traced(build, step);
      expect(trace.result, `seed ${seed}`).toEqual(reference);
      checkSegments(build, step, trace);
      compared++;
      breakpoints += trace.states.length;
    }
    expect(compared).toBeGreaterThan(10);
    expect(breakpoints).toBeGreaterThan(20);
  });

  it("keeps files, descriptors, randomness, clock, standard streams and a deep stack", async () => {
    const { bytes, reference } = await everything();
    const trace = traced(built(bytes)!, 2_000n);
    expect(trace.result).toEqual(reference);
    expect(trace.states.length).toBeGreaterThan(20);
    expect(new Set(trace.states.map(({ state }) => state.root)).size).toBeGreaterThan(20);
    checkSegments(built(bytes)!, 2_000n, trace);
  });

  it("is refused for a state that is none of its own, in words", async () => {
    const { bytes } = await everything();
    const build = built(bytes)!;
    const { states, pieces } = traced(build, 2_000n);
    const text = Buffer.from(states[3]!.state.manifest).toString();
    const tries = [
      "{}",
      "nonsense",
      text.replace(/"pages":\[/, '"pages":["","","","","","","","","","","","","","","","","","","","",'),
      text.replace(/"kind":"directory"/, '"kind":"link"'),
    ];
    for (const changed of tries) {
      const from = { manifest: Buffer.from(changed), piece: (digest: string) => pieces.get(digest)! };
      expect(() => traceJob(jobOf(build), { step: 2_000n, from, onBreakpoint: () => true }), changed.slice(0, 30)).toThrow(/state/);
    }
  });

  it("is refused in words, or runs, whatever is put in place of any part of a state; nothing else happens", async () => {
    const { bytes } = await everything();
    const build = built(bytes)!;
    const { states, pieces } = traced(build, 2_000n);
    const text = Buffer.from(states[3]!.state.manifest).toString();
    const odd: unknown[] = [
      null,
      -1,
      2 ** 40,
      "",
      "x",
      "99999999999999999999999999",
      "/",
      [],
      [[]],
      {},
      "00".repeat(32),
      true,
      "-5",
      "constructor",
      { toString: 1 },
    ];
    const known = [...pieces.keys()].slice(0, 2);
    let [refused, ran] = [0, 0];
    for (const at of placesIn(JSON.parse(text)))
      for (const value of [...odd, ...known]) {
        const changed = JSON.parse(text) as unknown;
        put(changed, at, value);
        const from = { manifest: Buffer.from(JSON.stringify(changed)), piece: (digest: string) => pieceOr(pieces, digest) };
        try {
          traceJob({ ...jobOf(build), fuelMax: 60_000n }, { step: 50_000n, from, onBreakpoint: () => false });
          ran++;
        } catch (error) {
          expect(error, `${at.join(".")} = ${JSON.stringify(value)}: ${String((error as Error).stack)}`).toBeInstanceOf(BadState);
          refused++;
        }
      }
    expect(refused).toBeGreaterThan(ran);
    expect(ran).toBeGreaterThan(20);
  });

  it("comes to some end, or is refused, whatever its call stack was made into", async () => {
    const { bytes } = await everything();
    const build = built(bytes)!;
    const { states, pieces } = traced(build, 2_000n);
    const { manifest } = states[5]!.state;
    const { stack } = JSON.parse(Buffer.from(manifest).toString()) as { stack: string };
    const random = new Random(5);
    for (let i = 0; i < 100; i++) {
      const forged = pieces.get(stack)!.slice();
      for (let left = random.between(1, 8); left > 0; left--)
        forged[random.between(0, forged.length - 1)] = random.chance(0.5) ? 255 : random.between(0, 255);
      const from = { manifest, piece: (digest: string) => (digest === stack ? forged : pieces.get(digest)!) };
      try {
        traceJob({ ...jobOf(build), fuelMax: 60_000n }, { step: 50_000n, from, onBreakpoint: () => false });
      } catch (error) {
        expect(error).toBeInstanceOf(BadState);
      }
    }
  });

  it.each([
    [
      "a folder in itself",
      (nodes: StateNode[]) => void nodes.find(({ entries }) => entries)!.entries!.push(["loop", nodes.find(({ entries }) => entries)!.ino]),
    ],
    [
      "a folder under two names",
      (nodes: StateNode[]) => {
        const [root, out] = nodes.filter(({ entries }) => entries) as [StateNode, StateNode];
        root.entries!.push(["again", out.ino]);
      },
    ],
    ["folders that take nothing", (nodes: StateNode[]) => void (nodes.find(({ own }) => own === true)!.own = false)],
    ["a file that is larger than the disk", (nodes: StateNode[]) => void (nodes.find(({ size }) => size !== undefined)!.size = 2 ** 36)],
    ["more names than there are", (nodes: StateNode[]) => void (nodes.find(({ size }) => size !== undefined)!.links = 2)],
    [
      "a name with a slash",
      (nodes: StateNode[]) => void (nodes.find(({ entries }) => entries?.some(([name]) => name === "there"))!.entries![0]![0] = "../x"),
    ],
  ])("is refused with %s", async (_what, change) => {
    const { bytes } = await everything();
    const build = built(bytes)!;
    const { states, pieces } = traced(build, 2_000n);
    const manifest = JSON.parse(Buffer.from(states[3]!.state.manifest).toString()) as { nodes: StateNode[] };
    change(manifest.nodes);
    const from = { manifest: Buffer.from(JSON.stringify(manifest)), piece: (digest: string) => pieces.get(digest)! };
    expect(() => traceJob(jobOf(build), { step: 2_000n, from, onBreakpoint: () => true })).toThrow(BadState);
  });

  it("goes on as a segment from its own beginning alone, with all of the state", async () => {
    const { bytes } = await everything();
    const build = built(bytes)!;
    const { states, pieces } = traced(build, 2_000n);
    const { root, manifest } = states[2]!.state;
    const blobs = new Map([...pieces, [root, manifest] as const]);
    const blob = (digest: string): Uint8Array => {
      const bytes = blobs.get(digest);
      if (!bytes) throw new Error("ENOENT");
      return bytes;
    };
    expect(segment(jobOf(build), { kind: "segment", from: root, step: "2000", index: 4 }, blob).stateRoot).toBe(states[3]!.state.root);
    expect(() => segment(jobOf(build), { kind: "segment", from: root, step: "2000", index: 6 }, blob)).toThrow("earlier segment");
    const [missing] = statePiecesOf(manifest)!;
    blobs.delete(missing!);
    expect(() => segment(jobOf(build), { kind: "segment", from: root, step: "2000", index: 4 }, blob)).toThrow(missing);
  });

  it("uses no less than nothing in a segment that traps", async () => {
    const wabt = await wabtInit();
    const loop = "(loop $l (br_if $l (local.tee $i (i32.sub (local.get $i) (i32.const 1)))) unreachable)";
    const text = `(module (memory (export "memory") 1) (func (export "_start") (local $i i32) (local.set $i (i32.const 9)) ${loop}))`;
    const build = built(Buffer.from(wabt.parseWat("t.wat", text).toBinary({}).buffer))!;
    const { states, pieces } = traced(build, 1n);
    expect(states.length).toBeGreaterThan(3);
    for (const { state } of states) {
      const blob = (digest: string): Uint8Array => pieces.get(digest) ?? state.manifest;
      const index = Number(state.fuel) + 1;
      const { fuel, from } = segment(jobOf(build), { kind: "segment", from: state.root, step: "1", index }, blob);
      expect(fuel).toBeGreaterThanOrEqual(from);
    }
  });

  it("has no such build where a table changes", async () => {
    const wabt = await wabtInit();
    const text =
      '(module (memory (export "memory") 1) (table 1 funcref) (func (export "_start") (table.set (i32.const 0) (ref.null func))))';
    const module = Buffer.from(wabt.parseWat("t.wat", text, { reference_types: true }).toBinary({}).buffer);
    expect(prepareModule(module)).toMatchObject({ ok: true });
    expect(prepareModule(module, true)).toMatchObject({ ok: false, message: expect.stringContaining("no breakpoints") });
  });
});

interface StateNode {
  ino: string;
  links: number;
  entries?: [string, string][];
  own?: boolean;
  size?: number;
}

/** A piece that is not here is one of another size. */
const pieceOr = (pieces: ReadonlyMap<string, Uint8Array>, digest: string): Uint8Array => pieces.get(digest) ?? new Uint8Array(7);

/** The way to each value in it, lists up to their third entry. */
function placesIn(value: unknown, at: (string | number)[] = []): (string | number)[][] {
  if (typeof value !== "object" || value === null) return [at];
  const keys = Array.isArray(value) ? [...value.keys()].slice(0, 3) : Object.keys(value);
  return [
    ...(at.length > 0 ? [at] : []),
    ...keys.flatMap((key) => placesIn((value as Record<string | number, unknown>)[key], [...at, key])),
  ];
}

function put(into: unknown, at: readonly (string | number)[], value: unknown): void {
  let one = into as Record<string | number, unknown>;
  for (const key of at.slice(0, -1)) one = one[key] as Record<string | number, unknown>;
  one[at.at(-1)!] = value;
}

/** A module that recurses, reads and writes files, draws random bytes, asks for the time and prints. */
async function everything() {
  const wabt = await wabtInit();
  const text = `(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (memory (export "memory") 2)
    (global $count (mut i32) (i32.const 0))
    (data (i32.const 100) "made")
    (func $down (param $n i32) (result i32) (local $i i32)
      (if (i32.eqz (local.get $n)) (then (return (i32.const 1))))
      (local.set $i (i32.const 3))
      (loop $again
        (i32.store offset=4096 (i32.and (i32.mul (local.get $n) (local.get $i)) (i32.const 0x7ffc)) (local.get $n))
        (br_if $again (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
      (i32.add (call $down (i32.sub (local.get $n) (i32.const 1))) (local.get $n)))
    (func (export "_start") (local $i i32)
      (drop (call $open (i32.const 3) (i32.const 0) (i32.const 100) (i32.const 4) (i32.const 1) (i64.const 66) (i64.const 0) (i32.const 0) (i32.const 60)))
      (local.set $i (i32.const 12))
      (loop $again
        (i32.store (i32.const 0) (i32.const 32)) (i32.store (i32.const 4) (i32.const 16))
        (drop (call $random (i32.const 32) (i32.const 8)))
        (drop (call $clock (i32.const 1) (i64.const 0) (i32.const 40)))
        (i32.store (i32.const 44) (call $down (i32.const 50)))
        (global.set $count (i32.add (global.get $count) (i32.const 1)))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
        (drop (call $write (i32.load (i32.const 60)) (i32.const 0) (i32.const 1) (i32.const 8)))
        (i32.store (i32.const 4) (i32.const 1))
        (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
        (br_if $again (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))))`;
  const bytes = Buffer.from(wabt.parseWat("t.wat", text).toBinary({}).buffer);
  const fast = prepareModule(bytes);
  if (!fast.ok) throw new Error(fast.message);
  const out: Uint8Array[] = [];
  return { bytes, reference: shown(runJob(jobOf(compiled(fast.bytes), out)), out) };
}
