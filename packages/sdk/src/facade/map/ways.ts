/** What a map needs of its market. */
import type { ReceiptVerification } from "@xenoservers/verify";
import type { Job } from "../job.ts";
import type { JobResult } from "../job-result.ts";
import type { RunInput } from "../run-input.ts";
import type { JournalOwner, JournalPlace } from "./journal.ts";

/** How one job is ordered. */
export interface MapOrder {
  /** The most that it may cost. */
  holdNanos: bigint;
  /** Null: it has a hold of its own. */
  batch: string | null;
  /** Awaited before the order is sent. */
  onSigned(order: string): Promise<void>;
  /** Given up while it waits for room. */
  signal: AbortSignal;
}

/** One job, read and not ordered. */
export interface MapPlan {
  /** Of what is to run, its files included; not of when, where, and what it draws at random. */
  digest: string;
  budgetNanos: bigint;
  /** A folder for its files; null: they come to the program. */
  out: string | null;
  /** Null: it names a batch of its own. */
  account: string | null;
  /** What the same work came to, as an earlier receipt proves; null: it has to be run. */
  earlier(): Promise<JobResult | null>;
  order(how: MapOrder): Promise<Job>;
  follow(lease: string): Promise<Job>;
}

export interface MapWays {
  owner: JournalOwner;
  now(): number;
  sleep(ms: number): Promise<void>;
  /** Throws KeptError where another program has the map of this name open. */
  journal(name: string): Promise<JournalPlace>;
  plan(input: RunInput): Promise<MapPlan>;
  /** The lease that an order has come to; null: none, and none will come of it. */
  leaseOf(order: string): Promise<string | null>;
  /** What a lease has cost; null: nobody knows yet. */
  dueOf(lease: string): Promise<bigint | null>;
  /** Null: this key may not take back what is left of one. */
  openBatch(budgetNanos: bigint, account: string): Promise<string | null>;
  closeBatch(batch: string): Promise<void>;
  verify(lease: string): Promise<ReceiptVerification>;
}
