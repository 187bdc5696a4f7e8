/** Who has how much of everybody's money, wherever it lies. */
import { auditQuiet, audit, type Snapshot } from "@xenoservers/testkit";
import type { Played } from "./play.ts";
import { MACHINES, type ServerName } from "./actors.ts";

export type Purse = "customer" | ServerName;
export type Purses = Readonly<Record<Purse, bigint>>;

const BUCKETS = ["available", "held", "pending", "staked", "locked"];

async function snapshotOf({ room, leases }: Played): Promise<Snapshot> {
  return { balances: (await room.store.audit()).balances, leases };
}

/** By owner: under the name of its server. */
export async function pursesOf(played: Played): Promise<Purses> {
  const { room } = played;
  const { balances } = await snapshotOf(played);
  const all = (account: string): bigint => BUCKETS.reduce((sum, bucket) => sum + (balances.get(`${account}/${bucket}`) ?? 0n), 0n);
  const of = (name: ServerName): bigint => all(room.machine(name).owner.account);
  const owners = Object.fromEntries(MACHINES.map((name) => [name, of(name)])) as Record<ServerName, bigint>;
  return { customer: all(room.customer.account), ...owners };
}

/** What the auditor, who shares no code with the market, finds wrong in the books; null when nothing. */
export async function booksProblem(played: Played): Promise<string | null> {
  const snapshot = await snapshotOf(played);
  return audit(snapshot) ?? auditQuiet(snapshot);
}
