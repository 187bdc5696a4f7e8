/** What a server that gives a lease away says to the one that is to have it. */
import type { Envelope } from "@xenoservers/protocol";
import type { Documents } from "@xenoservers/protocol/link";
import type { Work } from "../drivers/work.ts";
import type { Filed } from "./journal.ts";

/** What the other server is told of a lease before anything is carried there. */
export interface Handed {
  /** What gives those who signed it their roles. */
  grants: Envelope[];
  po: Filed;
  acceptance: Envelope;
  /** The last by which it moved; null where it is where it began. */
  move: Envelope | null;
  work: Work;
  /** What comes of its guest and stays on the disk, images aside, as it is now; null: as much as was bought. */
  keptMib: number | null;
}

/** With what it is handed over in the end. */
export interface HandedOver {
  handover: Envelope;
  pausedByCustomer: boolean;
}

/** The server that is to have a lease, as this one speaks with it. Each throws, in words, where it says no or is not there any more. */
export interface Taker {
  readonly server: string;
  /** Rejects, in words, once it is not there any more. */
  readonly gone: Promise<never>;
  ask(handed: Handed): Promise<void>;
  /** The next of its log, up to the last claim that was receipted here. */
  tell(documents: Documents): Promise<void>;
  /** Resolves once all of the log that was told was taken, and the lease has room there. */
  admitted(): Promise<void>;
  send(name: string, bytes: Uint8Array): Promise<void>;
  /** Resolves once all that was sent stands there, still. */
  restored(): Promise<void>;
  /** Resolves once the lease is there. */
  handOver(handed: HandedOver): Promise<void>;
}
