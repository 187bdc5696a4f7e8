/**
 * What a customer's machine does for its markets: reads what is to run, keeps what was signed, writes what comes back. A browser is another
 * such machine.
 */
import type { InputEntry } from "@xenoservers/protocol/channel";
import type { BuiltWork } from "../built.ts";
import type { MarketClient } from "../client.ts";
import type { Quoted, Wanted } from "../order.ts";
import type { BrokenPurchaseOrder } from "../purchase-order.ts";
import type { TreeFile } from "../session/result.ts";
import type { ReceiptWatching } from "./long-receipt.ts";
import type { JournalPlace } from "./map/journal.ts";
import type { KeptRuns } from "./kept-run.ts";
import type { AttachOptions, RunInput } from "./run-input.ts";

/** A run that was read, and can be ordered. */
export interface Planned {
  wanted: Wanted;
  /** Where its files come to: to folders of this machine, to the program, or they stay with the server. */
  files: "written" | "held" | "left";
  build(offer: Pick<Quoted["offer"], "engine" | "vmEngine">): BuiltWork;
  /** Writes what came back where it was asked for, and of files that are left nothing. */
  write(tree: readonly InputEntry[], fetch: (file: TreeFile) => Promise<Uint8Array>): Promise<void>;
}

/** Where a job's files come to, and what brings them there. */
export type FilesPlace = Pick<Planned, "files" | "write">;

export interface Here {
  /** For a lease that was ordered before. Throws InputError where nothing can be written to. */
  filesPlace(options: AttachOptions): Promise<FilesPlace>;
  /** Throws InputError. */
  plan(input: RunInput): Promise<Planned>;
  /** Before the order: a program that crashes afterwards, or a later one, can still send it. */
  keepJob(job: BuiltWork): Promise<void>;
  /** As it was sent. Throws KeptError where it is not kept here. */
  keptJob(jobHash: string): Promise<BuiltWork>;
  /** Fetched, once all of it is in the log or `withinMs` are over, and kept; gives what can be verified. */
  keepReceipt(client: MarketClient, lease: string, withinMs?: number, watching?: ReceiptWatching): Promise<unknown>;
  /** What work came to, to be taken again. */
  runs: KeptRuns;
  /** Says where the purchase order lies. */
  keepBroken(error: BrokenPurchaseOrder, client: MarketClient): Promise<void>;
  /** Ids of what was signed here about a lease, and the broker took. */
  signedAbout(lease: string, origin: string): Promise<string[]>;
  /** Where what became of a map's jobs is kept under a name. Throws InUseError where another program has it open. */
  mapJournal(name: string): Promise<JournalPlace>;
  /** A receipt by its file, or by the first letters of its lease's id: what is kept here, or null. */
  keptReceipt(leaseOrFile: string, client: MarketClient, watching?: ReceiptWatching): Promise<unknown>;
}
