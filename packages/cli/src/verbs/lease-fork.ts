/**
 * `xeno lease fork`: one snapshot, and as many leases that begin with it on the same server: an order each, under the market's rules like
 * any other.
 */
import { canonicalBytes, toHex, vmJobHashOf, type VmSpec } from "@xenoservers/protocol";
import {
  type BoundOrder,
  type BuiltVm,
  type MarketClient,
  RefusedError,
  type Wanted,
  builtVm,
  openSession,
  placeOrder,
  shortId,
} from "@xenoservers/sdk";
import { openClient } from "../input/client.ts";
import type { ForkInput } from "../input/verbs/machine.ts";
import { hold, type Held } from "../machine/hold.ts";
import { print, printJson, say } from "../output/terminal.ts";
import { UserError, countOf } from "../output/ui.ts";
import { takeSnapshot } from "./lease-request.ts";

const READY_MS = 60_000;

function wantedOf({ bound }: Held, { maxTime, budget }: ForkInput): Wanted {
  const { payload: order } = bound.order;
  return {
    ...{
      resources: order.resources,
      terms: order.terms,
      assurance: order.assurance,
      on: order.on,
      maxPriceNanosPerHour: null,
      label: order.label,
    },
    conditions: [{ key: "server", op: "=", value: bound.po.payload.server }],
    durationMsMax: maxTime,
    fuelMax: BigInt(order.fuelMax),
    budgetNanos: budget,
    account: order.account,
    ...{ driver: order.driver, accel: order.accel, egress: order.egress, egressMibMax: order.egressMibMax },
  };
}

export async function leaseFork(input: ForkInput): Promise<void> {
  await openClient("spend");
  const held = await hold(input.lease, null);
  const { client } = held;
  try {
    const { snapshot, spec } = await takeSnapshot(held);
    const wanted = wantedOf(held, input);
    const leases: string[] = [];
    while (leases.length < input.count) {
      const job = forkOf(client, spec, snapshot, held.bound.order.payload.fuelMax);
      const bound = await placeOrder(client, wanted, job.jobHash).catch((error: unknown) => {
        if (leases.length === 0 || !(error instanceof RefusedError)) throw error;
        const running = `${countOf(leases.length, "fork")} of ${input.count} run (${leases.map(shortId).join(", ")})`;
        throw new UserError(`${running}; then: ${error.refusal.code}`);
      });
      await untilRunning(client, bound, job);
      leases.push(bound.po.id);
      if (!input.json) print(bound.po.id);
    }
    if (input.json) printJson({ snapshot, leases });
    else say("each goes on by itself; see them with: xeno ps");
  } finally {
    held.close();
  }
}

function forkOf(client: MarketClient, of: VmSpec, snapshot: string, fuelMax: string): BuiltVm {
  const inputs = { entries: [], mounts: [] };
  const spec: VmSpec = {
    ...{ ...of, vm: { kind: "snapshot", snapshot }, fuelMax, seed: toHex(client.crypto.randomBytes(32)) },
    inputs: toHex(client.crypto.sha256(canonicalBytes(inputs))),
  };
  return builtVm({ spec, jobHash: vmJobHashOf(client.crypto, spec), inputs, blobs: new Map(), sizes: [] });
}

async function untilRunning(client: MarketClient, bound: BoundOrder, job: BuiltVm): Promise<void> {
  const running = Promise.withResolvers<void>();
  const id = shortId(bound.po.id);
  const { session, close } = openSession(client, bound, job, {
    onState: (state) => void ((state === "running" || state === "ended") && running.resolve()),
  });
  const cancel = client.timers.after(READY_MS, () => running.reject(new UserError(`lease ${id} did not start in time`)));
  session.settled().then(
    ({ end }) => (end?.exitCode === null ? running.reject(new UserError(`lease ${id} ended: ${end.reason}`)) : running.resolve()),
    () => {}, // closed: it runs
  );
  void session.failed.then((error) => running.reject(error));
  try {
    await running.promise;
  } finally {
    cancel();
    close();
  }
}
