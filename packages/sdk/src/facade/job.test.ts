/** What a job says of itself when its lease is over, and what becomes of one whose program fails as it is told of. */
import { END_REASONS, TERMS, type EndReason } from "@xenoservers/market";
import { expect, it } from "vitest";
import type { MarketClient } from "../client.ts";
import { Job } from "./job.ts";
import { beyond } from "./all-beyond.ts";
import { OpenMarket } from "./market.ts";
import { Ordering } from "./ordering.ts";
import type { Prepared } from "./prepared-run.ts";

type Ways = ConstructorParameters<typeof Job>[0];

/** Of a lease that ended so; null: no server took it. */
function over(reason: EndReason | null): Job {
  const lease = { id: "ab", state: "over", end: reason && { reason, dueNanos: "0", ownerNanos: "0", feeNanos: "0", refundNanos: "0" } };
  const session = {
    ...{ lease: "ab", failed: new Promise(() => {}), withdraw: async () => "withdrawn" },
    ...{ settled: async () => lease, delivered: async () => null },
  };
  const ways = { open: () => ({ session, close() {} }), write: null, keep: async () => {}, check: async () => ({}), over() {} };
  const job = new Job(ways as unknown as Ways, {});
  job.result.catch(() => {});
  return job;
}

it.each([null, ...END_REASONS])("says whether it ever ran where its lease is over: %s", async (reason) => {
  const came = await over(reason).running.then(
    () => "ran",
    (error: { code: string; left: string }) => [error.code, error.left],
  );
  expect(came).toEqual(reason !== null && TERMS[reason].ran ? "ran" : ["not_started", "over"]);
});

it("is not left bound where its program fails as it is told of the lease", async () => {
  const signed: string[] = [];
  const client = {
    identity: { party: "p", scopes: ["spend", "read"] },
    sign: (kind: string) => (signed.push(kind), { envelope: {} }),
    submit: async () => ({ ok: true }),
  } as unknown as MarketClient;
  const ordering = new Ordering({ client, here: {}, link: {}, verify: null } as unknown as ConstructorParameters<typeof Ordering>[0]);
  ordering.place = async () => ({ order: { id: "o" }, po: { id: "ab" } }) as never;
  const fails = (): never => {
    throw new Error("no room for its name");
  };
  await expect(ordering.order({} as Prepared, { onLease: fails })).rejects.toMatchObject({ code: "given_up", left: "withdrawn" });
  expect([signed, ordering.jobs.size]).toEqual([["stop"], 0]);
});

it("is prepared after others are over, and refuses what is no run in words", async () => {
  const read: string[] = [];
  const client = {
    identity: { scopes: ["spend", "read"] },
    read: async (name: string) => (read.push(name), Promise.reject(new Error("away"))),
  } as unknown as MarketClient;
  const here = { plan: () => Promise.reject(new Error("it was read")) };
  const market = new OpenMarket(client, here as unknown as ConstructorParameters<typeof OpenMarket>[1], beyond);
  await expect(market.prepare({ python: "a.py", after: ["abcdef012345"] })).rejects.toThrow("away");
  expect(read).toEqual(["lease"]);
  await expect(market.prepare(undefined as never)).rejects.toMatchObject({ code: "bad_input" });
});
