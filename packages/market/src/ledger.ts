/**
 * The books' model: double entry over named balances, each with a floor. Money, capacity and spend limits are all kept in these books, so
 * "nothing is spent or sold twice" is one rule: no balance falls below its floor. The stores must give the same result codes as this model.
 *
 * Balance keys:  ACCOUNT/available|held|pending|staked|locked   money of an account
 *                ACCOUNT/allowance                              what an account may still spend (floor = -limit)
 *                KEY/day/DATE                                   what a delegated key spent on a day (floor = -limit)
 *                SERVER/vcpu|memoryMib|diskMib                  free capacity; SERVER/…/leased what is reserved
 *                PARTY/waiting, market/waiting                  orders that wait for room, counted down (floor = -limit)
 *                source/…  sink/…                               the outside: no floor
 */

import type { Resources } from "./resources.ts";

type MoneyBucket = "available" | "held" | "pending" | "staked" | "locked";
export type MoneyKey = `${string}/${MoneyBucket}`;
export type AllowanceKey = `${string}/allowance` | `${string}/day/${number}`;
type CapacityKey = `${string}/${keyof Resources}` | `${string}/${keyof Resources}/leased`;
/** Of the outside: what comes in or goes out. */
export type OutsideKey = `source/${string}` | `sink/${string}`;
type WaitingKey = `${string}/waiting`;
export type BalanceKey = MoneyKey | AllowanceKey | CapacityKey | WaitingKey | OutsideKey;

/** What it means that a balance falls short of a transfer: whoever asked for it is told this. */
export type Shortfall =
  | { code: "insufficient_funds" | "insufficient_stake"; account: string }
  | { code: "limit_reached"; account: string }
  | { code: "limit_reached"; key: string }
  | { code: "capacity_taken"; server: string }
  | { code: "queue_full"; of: string };

export interface Transfer {
  /** Derived from lease and step (PROTOCOL section 6), so that doing it twice is doing it once. */
  id: string;
  debit: BalanceKey;
  credit: BalanceKey;
  amount: bigint;
  /** Null: what is debited was set aside before, so that falling short is our own bug. */
  short: Shortfall | null;
}

/** Sets the lowest value a balance may have; null = no bound. A balance that nobody set a floor for may not go below zero. */
export interface Floor {
  key: BalanceKey;
  floor: bigint | null;
}

type Moved = Omit<Transfer, "short">;

type LedgerRefusal = { code: "below_floor"; key: string; missing: bigint };

interface BalanceRow {
  amount: bigint;
  floor: bigint | null;
}

export class Ledger {
  readonly balances = new Map<string, BalanceRow>();
  readonly transferIds = new Set<string>();

  balance(key: string): bigint {
    return this.balances.get(key)?.amount ?? 0n;
  }

  /**
   * Applies all transfers of one change or none. A transfer id seen before is skipped. Floors are checked on the end state of the change,
   * in the order in which the keys were first debited; the first key below its floor is named.
   */
  apply(floors: readonly Floor[], transfers: readonly Moved[]): LedgerRefusal | null {
    const next = new Map<string, BalanceRow>();
    const row = (key: string): BalanceRow => {
      let found = next.get(key);
      if (!found) {
        found = { ...(this.balances.get(key) ?? { amount: 0n, floor: 0n }) };
        next.set(key, found);
      }
      return found;
    };
    for (const { key, floor } of floors) row(key).floor = floor;
    const fresh = transfers.filter((transfer) => !this.transferIds.has(transfer.id));
    const debited: string[] = [];
    for (const { debit, credit, amount } of fresh) {
      row(debit).amount -= amount;
      row(credit).amount += amount;
      debited.push(debit);
    }
    for (const key of debited) {
      const { amount, floor } = next.get(key)!;
      if (floor !== null && amount < floor) return { code: "below_floor", key, missing: floor - amount };
    }
    for (const [key, value] of next) this.balances.set(key, value);
    for (const transfer of fresh) this.transferIds.add(transfer.id);
    return null;
  }
}

export const moneyKey = (account: string, bucket: MoneyBucket): MoneyKey => `${account}/${bucket}`;
export const allowanceKey = (account: string): AllowanceKey => `${account}/allowance`;
/** `day`: days since 1970. */
export const dayKey = (key: string, day: number): AllowanceKey => `${key}/day/${day}`;
export const capacityKey = (server: string, resource: keyof Resources, bucket: "free" | "leased"): CapacityKey =>
  bucket === "free" ? `${server}/${resource}` : `${server}/${resource}/leased`;
/** `of`: a party, or the whole market. */
export const waitingKey = (of: string): WaitingKey => `${of}/waiting`;
