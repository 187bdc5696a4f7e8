/** Replicas of which one fails, or whose files are to be had from one of them alone. */
import type { LeaseView } from "@xenoservers/protocol";
import { PaperMarket, Random, SimClock } from "@xenoservers/testkit";
import { beforeEach, describe, expect, it } from "vitest";
import { PaperClient } from "../../../test/support/paper-client.ts";
import { bytesBlob } from "./blob.ts";
import { buildJob, type BuiltJob } from "./job.ts";
import { placeReplicas } from "./placing.ts";
import type { BoundOrder } from "./purchase-order.ts";
import { ReplicasRun } from "./replicas.ts";
import { NotDelivered } from "./session/fetches.ts";

const SEED = new Uint8Array(32).fill(3);
const START = 1_800_000_000_000;

let clock: SimClock;
let client: PaperClient;
let job: BuiltJob;
let bounds: BoundOrder[];
let views: Map<string, LeaseView>;
let run: ReplicasRun;

beforeEach(async () => {
  clock = new SimClock(START, new Random(1));
  const market = new PaperMarket(new Random(2), START);
  const customer = market.party("carl", SEED);
  client = new PaperClient(market, clock, SEED);
  job = buildJob({
    ...{ module: bytesBlob(Buffer.from("m")), args: [], env: [], mounts: [], stdin: bytesBlob(new Uint8Array()), engine: "paper-1" },
    ...{ memoryMibMax: 64, diskMibMax: 64, outputMibMax: 1, fuelMax: 10n ** 12n },
  });
  views = new Map();
  const servers = ["olga", "otto"].map((name) => market.server(market.party(name)));
  client.onSubmit = (document) => {
    if (document.kind !== "order") return { ok: true, answer: {} };
    const replicas = servers.map((server, slot) => {
      const po = market.purchaseOrder(document as Parameters<PaperMarket["purchaseOrder"]>[0], server, market.offer(server), { slot });
      views.set(po.id, market.view(po, { state: slot === 0 ? "open" : "committed" }));
      return { purchaseOrder: po.envelope };
    });
    return { ok: true, answer: { ...replicas[0], replicas, grants: [...customer.grants, ...servers.flatMap(({ grants }) => grants)] } };
  };
  client.answers.lease = ({ params }) => views.get(params?.["id"] ?? "")!;
  const own = market.order(customer).payload;
  bounds = await placeReplicas(
    client,
    {
      ...{
        resources: own.resources,
        conditions: [],
        terms: "on-result",
        assurance: "replicated",
        on: "market",
        maxPriceNanosPerHour: null,
      },
      ...{ durationMsMax: 60_000, fuelMax: 10n ** 12n, budgetNanos: 10n ** 9n, label: "", replicas: 2 },
    },
    job.jobHash,
  );
  run = new ReplicasRun(client, bounds, job, {
    ...{ watch: {}, wantsFiles: true, budgetNanos: 10n ** 9n, noAudit: true, keep: async () => {} },
  });
});

const stopped = (): unknown[] => client.submitted.flatMap(({ kind, payload }) => (kind === "stop" ? [Reflect.get(payload, "lease")] : []));

describe("replicas of which one never starts", () => {
  it("are all given up: the other's result would say nothing, and be paid", async () => {
    const settled = run.settled();
    settled.catch(() => {});
    await clock.runUntil(bounds[0]!.po.payload.startBy);
    await expect(settled).rejects.toMatchObject({ code: "not_started", money: "withdrawn" });
    expect(new Set(stopped())).toEqual(new Set(bounds.map(({ po }) => po.id)));
    run.close();
  });

  it("are not said to be withdrawn where the broker is not heard", async () => {
    client.submit = async () => Promise.reject(new Error("no answer"));
    const settled = run.settled();
    settled.catch(() => {});
    await clock.runUntil(bounds[0]!.po.payload.startBy);
    await expect(settled).rejects.toMatchObject({ code: "given_up", left: "unheard", money: "unknown" });
    run.close();
  });

  it("run on where nobody follows them any more", async () => {
    const settled = run.settled();
    settled.catch(() => {});
    run.close();
    await clock.runUntil(START + 10_000);
    await expect(settled).rejects.toMatchObject({ code: "stalled" });
    expect(stopped()).toEqual([]);
  });
});

it("gives a file of whichever of those that stand still has it", async () => {
  const [one, other] = run.sessions;
  const tree = [{ path: "out/a", kind: "file" as const, digest: "a".repeat(64), size: 1, mode: 0o644 }];
  const delivered = { result: {} as never, tree: tree as never, from: "server" as const };
  one!.delivered = other!.delivered = async () => delivered;
  one!.fetch = async () => Promise.reject(new NotDelivered("it is gone since it was paid"));
  other!.fetch = async () => Uint8Array.of(7);
  const standing = bounds.map(({ po }, slot) => ({ slot, lease: views.get(po.id)! }));
  const { slot, fetch } = await run.delivered(standing);
  expect([slot, await fetch({ digest: "a".repeat(64), size: 1 })]).toEqual([0, Uint8Array.of(7)]);
  other!.fetch = one!.fetch;
  await expect(fetch({ digest: "a".repeat(64), size: 1 })).rejects.toMatchObject({ code: "not_delivered" });
  run.close();
});
