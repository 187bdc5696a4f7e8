import type { VmProcess } from "@xenoservers/protocol";
import type { EndReason } from "@xenoservers/market";
import { describe, expect, it, vi } from "vitest";
import { ContextError, NotStartedError } from "../errors.ts";
import type { Job } from "./job.ts";
import type { ReplicatedJob } from "./replicated-job.ts";
import { PreparedRun, type Prepared } from "./prepared-run.ts";

type Ways = ConstructorParameters<typeof PreparedRun>[0];

/** One that orders on paper. */
function paper(job: Partial<Job> = {}, wanted: Partial<Prepared["wanted"]> = {}, process: Partial<VmProcess> | null = null) {
  const work = { spec: process ? { vm: { kind: "oci", process } } : {} };
  const order = vi.fn<Ways["order"]>(async () => job as Job);
  const assertMay = vi.fn<Ways["assertMay"]>();
  const prepared = { wanted: { budgetNanos: 100n, ...wanted }, quotes: [{}], work } as unknown as Prepared;
  const replicas = vi.fn<Ways["replicas"]>(async () => ({}) as ReplicatedJob);
  return { order, replicas, assertMay, run: new PreparedRun({ assertMay, order, replicas }, prepared) };
}

const came = (reason: EndReason, dueNanos: bigint) => ({ end: { reason }, bill: { dueNanos } }) as Parameters<PreparedRun["again"]>[0];

describe("another try", () => {
  it("has what the ones before have left of the budget, and is of the same work", async () => {
    const { run, order } = paper();
    const next = run.again(came("server-unreachable", 30n))?.again(came("not-started", 10n));
    await next?.run();
    expect(order.mock.calls[0]?.[0].wanted.budgetNanos).toBe(60n);
    expect(run.wanted.budgetNanos).toBe(100n);
  });

  it("is none where it would come to the same, or nothing is left", () => {
    const { run } = paper();
    expect(run.again(came("completed", 1n))).toBeNull();
    expect(run.again(came("time-limit", 1n))).toBeNull();
    expect(run.again(came("server-unreachable", 100n))).toBeNull();
  });
});

describe("what is started", () => {
  it("is let go of when it runs, by a key that may only spend", async () => {
    const { promise: running, resolve } = Promise.withResolvers<void>();
    const detach = vi.fn();
    const { run, assertMay } = paper({ lease: "ab", running, detach });
    const started = run.start();
    expect(assertMay).toHaveBeenCalledWith("spend");
    expect(detach).not.toHaveBeenCalled();
    resolve();
    expect(await started).toBe("ab");
    expect(detach).toHaveBeenCalledOnce();
  });

  it("fails as its job does where it never runs", async () => {
    const failed = new NotStartedError("no file", { left: "withdrawn" });
    const { run } = paper({ running: Promise.reject(failed), detach: vi.fn() });
    await expect(run.start()).rejects.toMatchObject({ code: "not_started", left: "withdrawn" });
  });
});

describe("what a program reads as it comes", () => {
  const onInput = (): null => null;

  it("is given where it is ordered, or nothing is ordered: the program would wait for it", async () => {
    const { run, order } = paper({}, {}, { stdin: true });
    await expect(run.run()).rejects.toThrow(/give onInput here, too/);
    expect(order).not.toHaveBeenCalled();
    await run.run({ onInput });
    expect(order).toHaveBeenCalledOnce();
  });

  it("is for nobody once it is let go of", async () => {
    const { run, order } = paper({}, {}, { stdin: true });
    await expect(run.start({ onInput })).rejects.toMatchObject({
      code: "bad_input",
      message: expect.stringContaining("onInput feeds nobody"),
    });
    expect(order).not.toHaveBeenCalled();
  });
});

it("orders nothing where its key may not, or where it is for several servers", async () => {
  const { run, order, assertMay } = paper();
  assertMay.mockImplementation(() => {
    throw new ContextError("this one may not");
  });
  await expect(run.run()).rejects.toThrow("may not");
  const several = paper({}, { replicas: 3 });
  await expect(several.run.run()).rejects.toMatchObject({ code: "bad_input" });
  await expect(run.replicas()).rejects.toThrow("may not");
  await expect(paper().run.replicas()).rejects.toMatchObject({ code: "bad_input" });
  expect([order.mock.calls, several.order.mock.calls]).toEqual([[], []]);
  await several.run.replicas({ noAudit: true });
  expect(several.replicas).toHaveBeenCalledOnce();
});
