/** What a map needs of its market. */
import type { ReceiptVerification } from "@xenoservers/verify";
import type { Job } from "../job.ts";
import type { JobResult } from "../job-result.ts";
import type { RunInput } from "../run-input.ts";
import type { Joinable } from "../../joined-job.ts";
import type { JournalOwner, JournalPlace } from "./journal.ts";
import type { Limits } from "./pace.ts";

/** A lease, or one run of it, that is followed. */
export type Followable = Pick<Job, "lease" | "isThere" | "ended" | "result" | "stop" | "detach">;

/** How one job, or several as one, are ordered. */
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
  /** With which others it can be one lease; null: with none. */
  joins: (Joinable & Limits) | null;
  /** Says what is wrong and is no reason to end. */
  warn(text: string): void;
  /** What the same work came to, as an earlier receipt proves; null: it has to be run. */
  earlier(): Promise<JobResult | null>;
  order(how: MapOrder): Promise<Followable>;
  /** `run`: which of the lease's runs it is; null: it is all of it. */
  follow(lease: string, run: number | null): Promise<Followable>;
}

/** Several cannot be one lease here: each is ordered by itself. */
export class ApartError extends Error {}

export interface MapWays {
  owner: JournalOwner;
  now(): number;
  sleep(ms: number): Promise<void>;
  /** Throws InUseError where another program has the map of this name open. */
  journal(name: string): Promise<JournalPlace>;
  plan(input: RunInput): Promise<MapPlan>;
  /** Of one kind, as one lease; each by its place among them. Throws ApartError, with nothing signed, where they cannot be. */
  orderTogether(plans: readonly MapPlan[], how: MapOrder & { fuelMax: bigint }): Promise<Followable[]>;
  /** The lease that an order has come to; null: none, and none will come of it. */
  leaseOf(order: string): Promise<string | null>;
  /** What a lease has cost; null: nobody knows yet. */
  dueOf(lease: string): Promise<bigint | null>;
  /** Null: this key may not take back what is left of one. */
  openBatch(budgetNanos: bigint, account: string): Promise<string | null>;
  closeBatch(batch: string): Promise<void>;
  verify(lease: string): Promise<ReceiptVerification>;
}
