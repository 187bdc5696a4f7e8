/**
 * The books follow the fold: which money and capacity moves when a lease becomes another. Every id derives from the lease and the step,
 * so that doing it twice is doing it once. Nothing here decides amounts: they stand in the folded lease.
 */
import { RESOURCE_KEYS, capacityKey, holdsCapacity, moneyKey, type FinalMoney, type Resources, type Transfer } from "@xenoservers/market";
import { rootAccountOf } from "@xenoservers/protocol";
import { BROKER_ACCOUNT, type Allowance, type LeaseRow } from "../store/store.ts";
import { allowanceTransfers, noFunds, noStake } from "./accounts.ts";
import { transfer } from "./outcome.ts";

type Transfers = (Transfer | null)[];

/** `step`: what the room is for; it is taken once and given back once. */
function capacityTransfers(step: string, server: string, resources: Resources, direction: "reserve" | "release"): Transfers {
  return RESOURCE_KEYS.map((key) => {
    const free = capacityKey(server, key, "free");
    const leased = capacityKey(server, key, "leased");
    const amount = BigInt(resources[key]);
    return direction === "reserve"
      ? transfer(`${step}/reserve/${key}`, free, leased, amount, { code: "capacity_taken", server })
      : transfer(`${step}/release/${key}`, leased, free, amount);
  });
}

const allowanceBack = (lease: LeaseRow, step: string, amount: bigint): Transfers =>
  allowanceTransfers(`${lease.id}/${step}`, lease.allowances, amount, "give-back");

function stakeTo(lease: LeaseRow, { stakeTo: to, wronged }: Pick<FinalMoney, "stakeTo" | "wronged">): Transfer | null {
  const locked = moneyKey(rootAccountOf(lease.owner), "locked");
  const amount = BigInt(lease.stakeNanos);
  switch (to) {
    case "locked":
      return null;
    case "owner":
      return transfer(`${lease.id}/stake-back`, locked, moneyKey(rootAccountOf(lease.owner), "staked"), amount);
    case "customer":
      return transfer(`${lease.id}/slash`, locked, moneyKey(rootAccountOf(lease.customer), "available"), amount);
    case "wronged":
      return transfer(`${lease.id}/slash`, locked, moneyKey(rootAccountOf(wronged ?? lease.customer), "available"), amount);
  }
}

const STAKE_BACK = { stakeTo: "owner", wronged: null } as const;

/** Before it: hold, allowances, stake, capacity. */
export function boundMoney(lease: LeaseRow): Transfers {
  const [hold, owner] = [BigInt(lease.holdNanos), rootAccountOf(lease.owner)];
  return [
    transfer(`${lease.id}/hold`, moneyKey(lease.purse, "available"), moneyKey(lease.purse, "held"), hold, noFunds(lease.purse)),
    ...allowanceTransfers(`${lease.id}/allowance`, lease.allowances, hold, "use"),
    transfer(`${lease.id}/stake`, moneyKey(owner, "staked"), moneyKey(owner, "locked"), BigInt(lease.stakeNanos), noStake(owner)),
    ...capacityTransfers(lease.id, lease.server, lease.resources, "reserve"),
  ];
}

function lapsedMoney(lease: LeaseRow): Transfers {
  const hold = BigInt(lease.holdNanos);
  return [
    transfer(`${lease.id}/lapse`, moneyKey(lease.purse, "held"), moneyKey(lease.purse, "available"), hold),
    ...allowanceBack(lease, "allowance-back", hold),
    stakeTo(lease, STAKE_BACK),
  ];
}

function settledMoney(lease: LeaseRow): Transfers {
  if (!lease.end) return [];
  const { ownerNanos, feeNanos, refundNanos } = lease.end;
  const held = moneyKey(lease.purse, "held");
  return [
    transfer(`${lease.id}/pay`, held, moneyKey(rootAccountOf(lease.owner), "pending"), BigInt(ownerNanos)),
    transfer(`${lease.id}/fee`, held, moneyKey(BROKER_ACCOUNT, "pending"), BigInt(feeNanos)),
    transfer(`${lease.id}/refund`, held, moneyKey(lease.purse, "available"), BigInt(refundNanos)),
    ...allowanceBack(lease, "allowance-back", BigInt(refundNanos)),
  ];
}

function finalMoney(lease: LeaseRow, final: FinalMoney): Transfers {
  if (!lease.end) return [];
  const [owner, fee] = [moneyKey(rootAccountOf(lease.owner), "pending"), moneyKey(BROKER_ACCOUNT, "pending")];
  const [ownerNanos, feeNanos, back] = [BigInt(final.ownerNanos), BigInt(final.feeNanos), BigInt(final.backNanos)];
  const ownersLoss = BigInt(lease.end.ownerNanos) - ownerNanos;
  const customer = moneyKey(rootAccountOf(lease.customer), "available");
  const partyOf = (side: "customer" | "owner"): string => rootAccountOf(side === "customer" ? lease.customer : lease.owner);
  return [
    transfer(`${lease.id}/release`, owner, moneyKey(rootAccountOf(lease.owner), "available"), ownerNanos),
    transfer(`${lease.id}/release-fee`, fee, moneyKey(BROKER_ACCOUNT, "available"), feeNanos),
    transfer(`${lease.id}/ruled-back`, owner, customer, ownersLoss),
    transfer(`${lease.id}/ruled-back-fee`, fee, customer, back - ownersLoss),
    ...allowanceBack(lease, "allowance-ruled", back),
    ...final.deposits.map(({ of, from, to, nanos }) =>
      transfer(`${lease.id}/deposit-back/${of}`, moneyKey(partyOf(from), "locked"), moneyKey(partyOf(to), "available"), BigInt(nanos)),
    ),
    stakeTo(lease, final),
  ];
}

const depositMoney = (lease: LeaseRow, side: "customer" | "owner", of: "trace" | "objection", nanos: string): Transfer | null => {
  const account = rootAccountOf(side === "customer" ? lease.customer : lease.owner);
  return transfer(
    `${lease.id}/deposit/${of}`,
    moneyKey(account, "available"),
    moneyKey(account, "locked"),
    BigInt(nanos),
    noFunds(account),
  );
};

function extendedMoney(before: LeaseRow, after: LeaseRow, drawn: readonly Allowance[]): Transfers {
  const more = BigInt(after.holdNanos) - BigInt(before.holdNanos);
  return [
    transfer(`${after.lastAmendment}/hold`, moneyKey(after.purse, "available"), moneyKey(after.purse, "held"), more, noFunds(after.purse)),
    ...allowanceTransfers(`${after.lastAmendment}/allowance`, drawn, more, "use"),
  ];
}

/** Room on a referee's server: kept from the draw until the run is ordered there, or another is drawn, or nobody judges any more. */
const seatMoney = (before: LeaseRow, after: LeaseRow): Transfers => [
  ...(before.seat === null ? [] : capacityTransfers(seatOf(before), before.seat, before.resources, "release")),
  ...(after.seat === null ? [] : capacityTransfers(seatOf(after), after.seat, after.resources, "reserve")),
];
const seatOf = ({ id, draw }: LeaseRow): string => `${id}/seat-${draw?.round ?? 0}`;

/** Room at the server that it has moved to, before that of the first is given back. */
const movedMoney = (before: LeaseRow, after: LeaseRow): Transfers => [
  ...capacityTransfers(after.lastMove ?? after.id, after.server, after.resources, "reserve"),
  ...capacityTransfers(after.lastMove ?? after.id, before.server, before.resources, "release"),
];

/** All that moves between two folds of one lease, in order. `drawn`: the allowances that what was added to the hold counts against. */
export function moneyBetween(before: LeaseRow, after: LeaseRow, drawn: readonly Allowance[] = []): Transfers {
  const { trace, objection, final } = after;
  return [
    ...(after.lastAmendment !== before.lastAmendment ? extendedMoney(before, after, drawn) : []),
    ...(after.server !== before.server ? movedMoney(before, after) : []),
    ...(holdsCapacity(before.state) && !holdsCapacity(after.state)
      ? capacityTransfers(after.id, after.server, after.resources, "release")
      : []),
    ...(after.state === "lapsed" && before.state !== "lapsed" ? lapsedMoney(after) : []),
    ...(after.end && !before.end ? settledMoney(after) : []),
    objection && !before.objection ? depositMoney(after, objection.by, "objection", objection.depositNanos) : null,
    trace && !before.trace ? depositMoney(after, "customer", "trace", trace.depositNanos) : null,
    ...(final && !before.final ? finalMoney(after, final) : []),
    final && before.final?.stakeTo === "locked" ? stakeTo(after, final) : null,
    ...(before.seat !== after.seat ? seatMoney(before, after) : []),
  ];
}
