/** An order and its purchase order, as far as drivers read them: for tests of work, without a market. */
import type { Resources } from "@xenoservers/market";
import type { Payload } from "@xenoservers/protocol";
import { TIMINGS } from "./fake-market.ts";
import type { Ordered } from "../drivers/driver.ts";

interface Said extends Partial<Payload<"order">> {
  jobHash: string;
  egressMibMax?: number;
}

const zero = "00".repeat(32);
const FREE = { vcpuNanosPerSecond: "0", memoryGibNanosPerSecond: "0", diskGibNanosPerSecond: "0", gigaFuelNanos: "0", egressGibNanos: "0" };
const NO_ENVELOPE = { payloadType: "", payload: "", signatures: [{ keyid: zero, sig: "" }] } satisfies Payload<"purchase-order">["order"];

export function orderedFor(said: Said): Ordered {
  const party = `p_${"1".repeat(40)}`;
  const account = `a_${"1".repeat(40)}`;
  const resources: Resources = said.resources ?? { vcpu: 1, memoryMib: 512, diskMib: 64 };
  const common = { origin: "test/market", seen: null, account, terms: "by-interval" as const, durationMsMax: 60_000, timings: TIMINGS };
  const { fuelMax = "1000000000000000", egressMibMax = 0 } = said;
  const order: Payload<"order"> = {
    ...{
      ...common,
      party,
      batch: null,
      clientId: "00".repeat(16),
      segment: false,
      judges: null,
      driver: "wasm",
      accel: "any",
      egress: "none",
    },
    ...{ conditions: [], assurance: "isolated", on: "market", maxPriceNanosPerHour: null, budgetNanos: "1", replicas: 1, expiresAt: 0 },
    ...{ label: "", feeBasisPointsMax: 0, channelKey: zero, auditSalt: zero, resources, fuelMax, egressMibMax },
    ...said,
  };
  const po: Payload<"purchase-order"> = {
    ...{ ...common, order: NO_ENVELOPE, offer: NO_ENVELOPE, fee: null, orderId: zero, offerId: zero, slot: 0, attempt: 1 },
    ...{ customer: party, owner: party, server: `s_${"1".repeat(40)}`, serverKey: zero, resources, price: FREE, fuelMax, egressMibMax },
    ...{ timeBound: "time-limit", fuelBound: "fuel-limit", holdNanos: "0", cancellationNanos: "0", feeBasisPoints: 0, stakeNanos: "0" },
    ...{ auditedBefore: 0, auditPpm: 0, auditReserveNanos: "0", issuedAt: 0, acceptBy: 0, startBy: 0 },
  };
  return { po, order };
}
