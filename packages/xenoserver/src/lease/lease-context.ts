/** What the parts of one lease share: what it is, where it stands, and how one part tells the others what has happened. */
import type { Payload } from "@xenoservers/protocol";
import type { GuestDriver } from "../drivers/driver.ts";
import type { LeaseRecord } from "./journal.ts";
import type { LeaseFacts } from "./lease-facts.ts";
import type { GuestEnd } from "./guest-end.ts";
import type { RunnerWorld } from "./runner-world.ts";
import type { Stage, StageEvent } from "./stages.ts";

export interface LeaseContext {
  readonly world: RunnerWorld;
  readonly record: LeaseRecord;
  readonly facts: LeaseFacts;
  readonly po: Payload<"purchase-order">;
  readonly order: Payload<"order">;
  readonly driver: GuestDriver;
  stage(): Stage;
  /** False where the stage ignores the event. */
  move(event: StageEvent): boolean;
  /** Of a lease that begins: resolves once its guest runs, or will not. */
  begun(): Promise<void> | null;
  save(): Promise<void>;
  /** Work that nobody waits for: what goes wrong in it is told to the owner, and the daemon lives on. */
  apart(work: Promise<unknown>): void;
  /** Shorter where this daemon goes away. */
  sleep(ms: number): Promise<void>;
  log(what: string, facts?: Record<string, unknown>): void;
  /** What a submission was answered: folds it, and acts on what has changed. */
  took(filed: readonly LeaseRecord["facts"][number][]): Promise<void>;
  /** Reads what the broker's log has, where what came does not fit together; false where it cannot be had. */
  catchUp(): Promise<boolean>;
  /** Reads what the log has after that document, where all before it is known here. */
  goOnFrom(after: string): Promise<void>;
  /** Nothing runs any more, or will: the lease is ending, where it was not before. */
  finish(end: GuestEnd): Promise<void>;
  /** Signs the end of a lease that is ending, and hands it in. */
  ending(end: GuestEnd): Promise<void>;
  over(why: string): Promise<void>;
}
