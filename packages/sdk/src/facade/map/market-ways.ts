/** What a map needs, by the market that it is of. Who controls the inputs: the broker, every byte of its answers. */
import type { ReceiptVerification } from "@xenoservers/verify";
import type { MarketClient } from "../../client.ts";
import { RefusedError } from "../../errors.ts";
import type { Wanted } from "../../order.ts";
import type { WhileWaiting } from "../../waiting.ts";
import type { Here, Planned } from "../here.ts";
import type { Job } from "../job.ts";
import type { JobResult } from "../job-result.ts";
import type { RunInput } from "../run-input.ts";
import { plannedDigest } from "../same-work.ts";
import type { MapOrder, MapPlan, MapWays } from "./ways.ts";

/** How a market orders one job by steps. */
export interface Orders {
  client: MarketClient;
  here: Here;
  read(input: RunInput): Promise<{ planned: Planned; wanted: Wanted }>;
  /** What it came to earlier; null: it has to be run. */
  earlier(read: { planned: Planned; wanted: Wanted }): Promise<JobResult | null>;
  order(read: { planned: Planned; wanted: Wanted }, waiting: WhileWaiting): Promise<Job>;
  follow(lease: string, planned: Planned): Promise<Job>;
  verify(lease: string): Promise<ReceiptVerification>;
}

/** For room in a full market; what waits longer is refused as busy. */
const WAIT_MS = 12 * 3_600_000;
/** Then what nobody has closed comes back by itself. */
const BATCH_MS = 24 * 3_600_000;

async function standing(client: MarketClient, order: string) {
  return client.read("order", { params: { id: order } }).catch((error: unknown) => {
    if (error instanceof RefusedError && error.code === "not_found") return null;
    throw error;
  });
}

/** One that still waits is withdrawn, so that nothing comes of it later. */
async function leaseOf(client: MarketClient, order: string): Promise<string | null> {
  const found = await standing(client, order);
  if (!found?.waiting) return found?.lease ?? null;
  const { party } = client.identity;
  const reason = "what ordered it has ended";
  const answer = await client.submit(client.sign("order-withdrawal", { party, order, reason }).envelope);
  if (answer.ok) return null;
  // it was bound in the same moment
  if (answer.code === "wrong_state") return (await standing(client, order))?.lease ?? null;
  throw new RefusedError(answer);
}

async function openBatch(client: MarketClient, budgetNanos: bigint, account: string): Promise<string | null> {
  const { party, scopes } = client.identity;
  if (!scopes.includes("control")) return null;
  const expiresAt = await client.brokerTimeIn(BATCH_MS);
  const opened = await client.act("batch", {
    ...{ party, account, budgetNanos: budgetNanos.toString(), expiresAt, clientId: client.newId() },
  });
  return String(opened["batch"]);
}

async function closeBatch(client: MarketClient, batch: string): Promise<void> {
  const answer = await client.submit(client.sign("batch-close", { party: client.identity.party, batch }).envelope);
  // it has expired, or was closed before
  if (!answer.ok && !["wrong_state", "not_found"].includes(answer.code)) throw new RefusedError(answer);
}

export function mapWays(orders: Orders): MapWays {
  const { client, here } = orders;
  return {
    owner: { origin: client.pins.origin, party: client.identity.party },
    now: () => client.timers.now(),
    sleep: (ms) => client.sleep(ms),
    journal: (name) => here.mapJournal(name),
    leaseOf: (order) => leaseOf(client, order),
    dueOf: async (lease) => {
      const { end } = await client.read("lease", { params: { id: lease } });
      return end ? BigInt(end.dueNanos) : null;
    },
    openBatch: (budgetNanos, account) => openBatch(client, budgetNanos, account),
    closeBatch: (batch) => closeBatch(client, batch),
    verify: (lease) => orders.verify(lease),
    plan: (input) => planOf(orders, input),
  };
}

async function planOf(orders: Orders, input: RunInput): Promise<MapPlan> {
  const { planned, wanted } = await orders.read(input);
  return {
    digest: plannedDigest(orders.client.crypto, planned),
    budgetNanos: wanted.budgetNanos,
    out: input.out ?? null,
    account: wanted.batch === undefined ? (wanted.account ?? orders.client.identity.account) : null,
    earlier: () => orders.earlier({ planned, wanted }),
    follow: (lease) => orders.follow(lease, planned),
    order: ({ holdNanos, batch, onSigned, signal }: MapOrder) =>
      orders.order(
        { planned, wanted: { ...wanted, budgetNanos: holdNanos, waitMs: WAIT_MS, ...(batch === null ? {} : { batch }) } },
        { onSigned, signal },
      ),
  };
}
