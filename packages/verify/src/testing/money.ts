/**
 * The money of a lease worked out a second time, from PROTOCOL section 6, by other code than the market's: what a forged receipt may say
 * at most. Only what each reason pays is read from the terms' table.
 */
import { TERMS } from "@xenoservers/market";
import type { Payload } from "@xenoservers/protocol";

const least = (...all: readonly bigint[]): bigint => all.reduce((one, other) => (other < one ? other : one));

type Price = Payload<"offer">["price"];
type Sizes = Payload<"order">["resources"];

/** 1024 times what the resources cost for a second. */
const rate = ({ vcpu, memoryMib, diskMib }: Sizes, price: Price): bigint =>
  1024n * BigInt(vcpu) * BigInt(price.vcpuNanosPerSecond) +
  BigInt(memoryMib) * BigInt(price.memoryGibNanosPerSecond) +
  BigInt(diskMib) * BigInt(price.diskGibNanosPerSecond);

const timeCosts = (sizes: Sizes, price: Price, ms: bigint): bigint => (rate(sizes, price) * ms) / 1_024_000n;
const fuelCosts = (price: Price, fuel: bigint): bigint => (fuel * BigInt(price.gigaFuelNanos)) / 1_000_000_000n;
const egressCosts = (price: Price, bytes: bigint): bigint => (bytes * BigInt(price.egressGibNanos)) / (1n << 30n);

const MOST_FUEL = 1n << 62n;

/** What a purchase order must say of money, time and fuel. */
export function quoted(order: Payload<"order">, price: Price, slot: number, auditedBefore = 0) {
  const byFuel = order.terms === "on-result";
  const mayBeAudited = order.assurance !== "isolated" && byFuel && !order.segment;
  const share = BigInt(order.budgetNanos) / BigInt(order.replicas + (mayBeAudited ? 1 : 0));
  const reserve = (work: bigint): bigint => (mayBeAudited && slot === 0 ? work : 0n);
  const egress = egressCosts(price, BigInt(order.egressMibMax) << 20n);
  const left = share > egress ? share - egress : 0n;
  const perMs = rate(order.resources, price);
  const paidMs = byFuel || perMs === 0n ? BigInt(Number.MAX_SAFE_INTEGER) : (left * 1_024_000n) / perMs;
  const giga = BigInt(price.gigaFuelNanos);
  const paidFuel = byFuel ? (giga === 0n ? MOST_FUEL : least((left * 1_000_000_000n) / giga, MOST_FUEL)) : BigInt(order.fuelMax);
  const ms = least(BigInt(order.durationMsMax), paidMs);
  const fuel = least(BigInt(order.fuelMax), paidFuel);
  const hold = (byFuel ? fuelCosts(price, fuel) : timeCosts(order.resources, price, ms)) + egress;
  const second = byFuel ? fuelCosts(price, 10_000_000_000n) : timeCosts(order.resources, price, 1_000n);
  return {
    durationMsMax: Number(ms),
    fuelMax: fuel.toString(),
    timeBound: paidMs < BigInt(order.durationMsMax) ? ("budget" as const) : ("time-limit" as const),
    fuelBound: paidFuel < BigInt(order.fuelMax) ? ("budget" as const) : ("fuel-limit" as const),
    holdNanos: (hold + reserve(hold)).toString(),
    auditReserveNanos: reserve(hold).toString(),
    cancellationNanos: least(second, hold).toString(),
    stakeNanos: (order.assurance === "isolated" ? 0n : hold).toString(),
    ...{ auditedBefore, auditPpm: mayBeAudited ? Math.max(10_000, Math.ceil(4_000_000 / (4 + auditedBefore))) : 0 },
  };
}

/** Whether the number that these bytes begin with is below the rate of a lease of which so much is due. */
export function isDrawnBy(mac: Uint8Array, po: Payload<"purchase-order">, dueNanos: string): boolean {
  const due = BigInt(dueNanos);
  const all = 10n * (due + BigInt(po.stakeNanos));
  const byStake = all === 0n ? 0n : (11_000_000n * due + all - 1n) / all;
  const rate = byStake > BigInt(po.auditPpm) ? byStake : BigInt(po.auditPpm);
  const drawn = new DataView(mac.buffer, mac.byteOffset).getBigUint64(0);
  return drawn * 1_000_000n < rate * 2n ** 64n;
}

/** What an extension holds more. */
export const extraHold = (po: Payload<"purchase-order">, fromMs: number, toMs: number): bigint =>
  po.terms === "by-interval" ? timeCosts(po.resources, po.price, BigInt(toMs)) - timeCosts(po.resources, po.price, BigInt(fromMs)) : 0n;

export interface Used {
  po: Payload<"purchase-order">;
  reason: Payload<"closing">["reason"];
  /** What was ordered in the end: the last amendment's. */
  durationMsMax: number;
  holdNanos: string;
  openedAt: number | null;
  stoppedAt: number | null;
  resultAt: number | null;
  closedAt: number;
  usedMs: number;
  fuel: string;
  egressBytes: number;
}

/** The amounts of a settlement, and whether the log's times made them less than what was stated within what was ordered. */
export function billed({ po, reason, durationMsMax, holdNanos, openedAt, stoppedAt, resultAt, closedAt, usedMs, fuel, egressBytes }: Used) {
  const row = TERMS[reason];
  const pay = row.pay[po.terms];
  const open = openedAt === null ? 0 : Math.max(0, (stoppedAt ?? resultAt ?? closedAt) - openedAt);
  const wantedMs = Math.min(usedMs, durationMsMax);
  const ms = pay === "used" ? Math.min(wantedMs, open) : 0;
  const wantedFuel = least(BigInt(fuel), BigInt(po.fuelMax));
  const possible = row.byChance ? 10_000_000n * BigInt(ms) : 20_000_000n * BigInt(open);
  const burnt = pay === "used" ? least(wantedFuel, possible) : 0n;
  const sent = pay === "used" ? least(BigInt(egressBytes), BigInt(po.egressMibMax) << 20n) : 0n;
  const work = po.terms === "on-result" ? fuelCosts(po.price, burnt) : timeCosts(po.resources, po.price, BigInt(ms));
  const wanted = pay === "used" ? work + egressCosts(po.price, sent) : pay === "cancellation" ? BigInt(po.cancellationNanos) : 0n;
  const due = least(wanted, BigInt(holdNanos) - BigInt(po.auditReserveNanos));
  const fee = (due * BigInt(po.feeBasisPoints)) / 10_000n;
  return {
    money: {
      ...{
        billableMs: ms,
        billableFuel: burnt.toString(),
        billableEgressBytes: Number(sent),
        dueNanos: due.toString(),
        feeNanos: fee.toString(),
      },
      ...{ ownerNanos: (due - fee).toString(), refundNanos: (BigInt(holdNanos) - due).toString(), blame: row.blame },
    },
    isCut: pay === "used" && (po.terms === "on-result" ? burnt < wantedFuel : ms < wantedMs),
  };
}
