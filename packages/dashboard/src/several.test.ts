import { refuse } from "@xenoservers/protocol";
import { InputError, RefusedError, type JobResult } from "@xenoservers/sdk";
import { expect, it } from "vitest";
import { AT_ONCE, Several, type Begun } from "./several.ts";

const runs = Array.from({ length: 10 }, (_, i) => ({ name: `f${i}`, input: { args: [String(i)] } }));
const RESULT = { ok: true } as JobResult;

/** A market whose leases begin and end when they are told to. */
class Leases {
  readonly begun: PromiseWithResolvers<Begun>[] = [];
  readonly results = new Map<string, PromiseWithResolvers<JobResult>>();
  readonly stopped: string[] = [];
  readonly begin = (_: unknown, signal: AbortSignal): Promise<Begun> => {
    const next = Promise.withResolvers<Begun>();
    signal.addEventListener("abort", () => next.reject(signal.reason));
    this.begun.push(next);
    return next.promise;
  };
  readonly stop = async (lease: string): Promise<void> => {
    this.stopped.push(lease);
    this.results.get(lease)!.resolve(RESULT);
  };
  async bind(index: number): Promise<void> {
    const result = Promise.withResolvers<JobResult>();
    this.results.set(`l${index}`, result);
    this.begun[index]!.resolve({ lease: `l${index}`, result: result.promise });
    await settled();
  }
  async over(index: number): Promise<void> {
    this.results.get(`l${index}`)!.resolve(RESULT);
    await settled();
  }
}
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const statesOf = (several: Several): string =>
  several
    .rows()
    .map(({ state }) => state)
    .join(" ");

it("runs so many at once, each in its row, until all are over", async () => {
  const leases = new Leases();
  const several = new Several(runs, leases);
  expect(leases.begun).toHaveLength(AT_ONCE);
  for (let i = 0; i < runs.length; i++) {
    await leases.bind(i);
    expect(several.rows()[i]).toMatchObject({ name: `f${i}`, state: "running", lease: `l${i}` });
    await leases.over(i);
    expect(leases.begun.length).toBe(Math.min(runs.length, AT_ONCE + i + 1));
  }
  expect([several.isOver, statesOf(several)]).toEqual([true, runs.map(() => "over").join(" ")]);
});

it("ends: stops what runs, withdraws what waits for room, and orders nothing more", async () => {
  const leases = new Leases();
  const several = new Several(runs, leases);
  await leases.bind(0);
  await leases.bind(1);
  await several.end();
  await settled();
  expect(leases.stopped).toEqual(["l0", "l1"]);
  expect(leases.begun).toHaveLength(AT_ONCE);
  expect([several.isOver, statesOf(several)]).toEqual([
    true,
    `over over ${runs
      .slice(2)
      .map(() => "left")
      .join(" ")}`,
  ]);
});

it("orders no more once its key is left, and withdraws what waits for room; what runs runs on", async () => {
  const leases = new Leases();
  const several = new Several(runs, leases);
  await leases.bind(0);
  several.letGo();
  await settled();
  expect([leases.begun.length, leases.stopped]).toEqual([AT_ONCE, []]);
  await leases.over(0);
  const left = runs.slice(1).map(() => "left");
  expect([several.isOver, statesOf(several)]).toEqual([true, ["over", ...left].join(" ")]);
});

it("stops what is bound at the very moment that it ends", async () => {
  const leases = new Leases();
  const several = new Several(runs, leases);
  const bound = leases.bind(0);
  await several.end();
  await bound;
  expect([leases.stopped, statesOf(several)]).toEqual([
    ["l0"],
    `over ${runs
      .slice(1)
      .map(() => "left")
      .join(" ")}`,
  ]);
});

it.each([new InputError("no"), new RefusedError(refuse("key_revoked"))])(
  "goes on where one fails, orders no more where the next would be refused for the same, and what runs runs on: %s",
  async (refusal) => {
    const leases = new Leases();
    const several = new Several(runs, leases);
    leases.begun[0]!.reject(new Error("away"));
    await settled();
    expect(leases.begun).toHaveLength(AT_ONCE + 1);
    await leases.bind(2);
    leases.begun[1]!.reject(refusal);
    await settled();
    expect([leases.begun.length, leases.stopped]).toEqual([AT_ONCE + 1, []]);
    expect(statesOf(several)).toBe("failed failed running ordering ordering left left left left left");
  },
);

it("goes on with the others where what one came to is refused", async () => {
  const leases = new Leases();
  const several = new Several(runs, leases);
  await leases.bind(0);
  leases.results.get("l0")!.reject(new InputError("no result"));
  await settled();
  expect([leases.begun.length, statesOf(several)]).toEqual([
    AT_ONCE + 1,
    "failed ordering ordering ordering ordering waits waits waits waits waits",
  ]);
});

it("shows what runs on where it was bound at the very moment that it ends, and could not be stopped", async () => {
  const leases = new Leases();
  const several = new Several(runs, { ...leases, stop: () => Promise.reject(new Error("away")) });
  const bound = leases.bind(0);
  await several.end();
  await bound;
  expect([several.isOver, several.rows()[0]]).toMatchObject([false, { state: "running", lease: "l0" }]);
});
