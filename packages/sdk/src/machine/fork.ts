/**
 * One snapshot of a machine, and leases that begin with it on the same server: an order each, under the market's rules like any other. Who
 * controls the inputs: the server (what the snapshot is), the broker (purchase orders).
 */
import { invariant, isMachineDriver } from "@xenoservers/market";
import { canonicalBytes, toHex, vmJobHashOf, zVmSpec, type Payload, type VmSpec } from "@xenoservers/protocol";
import * as z from "zod/mini";
import type { MarketClient } from "../client.ts";
import type { Wanted } from "../order.ts";
import { placeOrder } from "../placing.ts";
import type { BoundOrder } from "../purchase-order.ts";
import { begun } from "../session/begun.ts";
import type { LeaseSession } from "../session/lease-session.ts";
import { openSession } from "../session/open-session.ts";
import { builtVm, type BuiltVm } from "../vm.ts";

const zSnapshot = z.object({ snapshot: z.string().check(z.regex(/^[0-9a-f]{64}$/)), spec: zVmSpec, until: z.number() });
type Snapshot = z.infer<typeof zSnapshot>;

/** A machine that is followed here. */
export interface HeldMachine {
  client: MarketClient;
  bound: BoundOrder;
  session: LeaseSession;
}

/** The machine's memory and disk, kept on its server for a while; for its customer alone. */
export async function takeSnapshot({ session }: Pick<HeldMachine, "session">): Promise<Snapshot> {
  return zSnapshot.parse(await session.machine.ask("snapshot"));
}

interface ForkWanted {
  count: number;
  maxTime: number;
  budget: bigint;
  /** Called with each lease once it runs. */
  onFork(lease: string): void;
  /** No more of them are ordered. */
  signal?: AbortSignal | undefined;
}

function wantedOf({ bound, session }: HeldMachine, { maxTime, budget }: ForkWanted): Wanted {
  const { payload: order } = bound.order;
  const { resources, terms, assurance, on, label, account, driver, accel, egress, egressMibMax } = order;
  return {
    ...{ resources, terms, assurance, on, label, account, driver, accel, egress, egressMibMax },
    maxPriceNanosPerHour: null,
    conditions: [{ key: "server", op: "=", value: session.bound.serving.server }],
    durationMsMax: maxTime,
    fuelMax: BigInt(order.fuelMax),
    budgetNanos: budget,
  };
}

/** Gives the snapshot that they began with. Throws where one does not start: those before it run. */
export async function forkMachine(held: HeldMachine, fork: ForkWanted): Promise<string> {
  const { client } = held;
  const { snapshot, spec } = await takeSnapshot(held);
  const wanted = wantedOf(held, fork);
  for (let i = 0; i < fork.count && fork.signal?.aborted !== true; i++) {
    const job = forkOf(client, spec, snapshot, held.bound.order.payload);
    const bound = await placeOrder(client, wanted, job.jobHash);
    await untilRunning(client, bound, job);
    fork.onFork(bound.po.id);
  }
  return snapshot;
}

/** The machine of an order, as it goes on from a snapshot: by the same driver, with bytes of its own. */
export function forkOf({ crypto }: Pick<MarketClient, "crypto">, of: VmSpec, snapshot: string, order: Payload<"order">): BuiltVm {
  const { driver, fuelMax } = order;
  invariant(isMachineDriver(driver), "what is held is a machine");
  const inputs = { entries: [], mounts: [] };
  const spec: VmSpec = {
    ...{ ...of, vm: { kind: "snapshot", snapshot }, fuelMax, seed: toHex(crypto.randomBytes(32)) },
    inputs: toHex(crypto.sha256(canonicalBytes(inputs))),
  };
  return builtVm({ spec, jobHash: vmJobHashOf(crypto, spec), inputs, blobs: new Map(), sizes: [] }, driver);
}

async function untilRunning(client: MarketClient, bound: BoundOrder, job: BuiltVm): Promise<void> {
  const running = Promise.withResolvers<null>();
  const { session, close } = openSession(client, bound, job, {
    onState: (state) => void (state === "running" && running.resolve(null)),
  });
  try {
    await begun(session, running.promise);
  } finally {
    close();
  }
}
