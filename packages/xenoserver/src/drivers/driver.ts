/**
 * What a server needs of whatever runs guests: one contract, so that a driver is one folder. The suite in driver-contract.ts holds for
 * every driver, the simulated one too. Nothing outside a driver's folder asks which driver it is: it asks for its capabilities, the
 * market's table of drivers, or the driver itself.
 */
import type { Duplex } from "node:stream";
import type { Assurance, Driver, DriverAbilities, Hold } from "@xenoservers/market";
import type { Payload, TerminalWindow, VmSpec } from "@xenoservers/protocol";
import type { InputEntry } from "@xenoservers/protocol/channel";
import type { ResultReasonName } from "./job.ts";
import type { Work } from "./work.ts";

/** What its guests can do here, and where they lie; what the market knows of them is as its table says. */
export interface Capabilities extends Pick<DriverAbilities, "console" | "network" | "breakpoints"> {
  /** Their customers can keep one as it runs, and start from it again. */
  snapshots: boolean;
  /** Their machines can have screens; its offers say so. */
  screens: boolean;
  /** It does jobs of several runs; its offers say so. */
  runs: boolean;
  /** Images by address are fetched, where the owner allows it. */
  images: boolean;
  /** Their files lie in the host's memory. */
  filesInMemory: boolean;
}

/** What the driver puts into its server's offer, beside what holds its guests. */
export type Offered = Partial<Pick<Payload<"offer">, "engine" | "sandbox" | "accel" | "vmScore" | "limits" | "vmEngine">>;

/** What was ordered and bound: what work is held against. */
export interface Ordered {
  po: Payload<"purchase-order">;
  order: Payload<"order">;
}

export interface NeededBlob {
  digest: string;
  size: number;
  /** The driver keeps it itself for its customer's next lease. */
  isDrivers?: true;
}

/** A guest to be made. */
export interface GuestJob extends Ordered {
  lease: string;
  work: Work;
  /** Where the guest ends: the job's own limit, or less where the purchase order pays for less. */
  fuelMax: bigint;
  runMsMax: number;
  /** How long an image at an address may take to come; absent: as long as somebody wants it. */
  fetchMsMax?: number;
  /**
   * Of one that an earlier daemon began: the last moment at which that is known to have followed it as it ran, by the driver's clock.
   * Absent where it stood still then: whatever it says, it did not end.
   */
  livedUntilMs?: number;
  /** Over its network before, where an earlier daemon or another server ran it; asked when its network opens, as that may be later. */
  egressBytesUsed(): number;
  /** For a dispute: run it again in the build with breakpoints, one after each so much fuel, to where the first run was ended. */
  trace: { step: string; upTo: string | null } | null;
  /** The host file that holds a blob whose digest was checked. */
  blobFile(digest: string): string;
  /** Aborted where nobody wants the guest any more: whatever was started to make it ends. */
  signal?: AbortSignal;
}

export type GuestEnding =
  | {
      kind: "result";
      reason: ResultReasonName;
      exitCode: number | null;
      detail: string;
      fuel: bigint;
      /** Of the job up to here; `fuel` is that of this run, which is less for a segment. */
      fuelInAll: bigint;
      memoryHash: string | null;
      /** Of a trace; null where the job has no build with breakpoints. */
      roots: string[] | null;
      /** Of a segment that reached its end. */
      stateRoot: string | null;
      endedMonotonicMs: number;
      tree: InputEntry[];
    }
  | { kind: "host-failure"; detail: string; endedMonotonicMs: number };

/** JSON that finds the guest again after the daemon was restarted. */
export type GuestToken = { [key: string]: string | number };

/** Part of what a guest goes on from at another server, by its driver's own name for it. */
export interface CarriedFile {
  name: string;
  pieces(): AsyncIterable<Uint8Array>;
}

/** What a guest goes on from at another server. */
export interface Carrying {
  /** Sent while it runs; once the last of these was had it may stand still. */
  running: readonly CarriedFile[];
  /** Calls where it stands still while the last of these is sent, once or more. Absent: it runs as long. */
  onStill?(told: () => Promise<void>): void;
  /** Whether the rest has it stand still by itself: it is not paused before, only to run again as it is saved. */
  standsByItself?: true;
  /** The rest, of a guest that stands still, or does with it. */
  rest(): Promise<readonly CarriedFile[]>;
  /** Nothing that was made to be carried is left. */
  dispose(): Promise<void>;
}

/** Where that is put at the other server. */
export interface Arriving {
  /** The next bytes of that file; throws where no guest of this driver has such a one. */
  add(name: string, bytes: Uint8Array): Promise<void>;
  discard(): Promise<void>;
}

/** Of what comes of a guest: what lies on the disk at once, and what is sent, which is more where something changes meanwhile. */
export interface CarriedMib {
  kept: number;
  sent: number;
}

/** How guests come from other servers. */
export interface GuestMoves {
  /** Why a guest with this work ends where it began, in words; null where it can go on elsewhere. */
  problemWith(work: Work, ordered: Ordered): string | null;
  /** The most that comes of one, by what was bought. */
  carriedMib(work: Work, ordered: Ordered): CarriedMib;
  /** Some of it may be made of what arrives as that does. */
  arrive(job: GuestJob): Promise<Arriving>;
  /** Stands still where the other server left it, until it begins. What arrived is the driver's from then on. */
  prepare(job: GuestJob, arrived: Arriving): Promise<PreparedGuest>;
  /** One that an earlier daemon prepared and never began: nothing of it is left. */
  discard(token: GuestToken): Promise<void>;
}

export interface RunningGuest {
  readonly token: GuestToken;
  readonly ended: Promise<GuestEnding>;
  onChange(changed: () => void): void;
  /** Called with why it stands still at its host's fault, and with null when it can go on, which is by `resume`. */
  onStall?(told: (why: string | null) => void): void;
  /** Bytes of a stream from an offset on; empty when there are no more yet. */
  readStream(stream: "stdout" | "stderr", offset: number): Promise<Uint8Array>;
  readOutput(digest: string, offset: number, length: number): Promise<Uint8Array>;
  /**
   * Interrupts it; what it wrote so far is still handed in, with the reason `stopped`. `withinMs`: how long it may take to end by itself,
   * where it is a kind of guest that can be asked to; 0: no time.
   */
  stop(withinMs: number): Promise<void>;
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Ends it at once without a result. */
  kill(): Promise<void>;
  /** Stops following it; the guest runs on. */
  release(): void;
  /** Removes what is left of an ended guest. */
  dispose(): Promise<void>;
  /** Over the guest's network so far; absent where there is none. */
  egressBytes?(): number;
  /** To be carried to another server; absent where it cannot be. */
  carry?(): Promise<Carrying>;
  /** What another server would keep of it, images aside, as it is now, in MiB. Absent: as much as was bought. */
  keptMib?(): Promise<number>;
  /** What its customer can do with it while it runs, where it has a console. */
  controls?: GuestControls | null;
}

export interface GuestInput {
  /** How much of it the program has read; null until that is known. */
  readonly taken: number | null;
  readonly isTerminal: boolean;
  onTaken(changed: () => void): void;
  /** Why it was not passed on, in words; null where it was. */
  receive(offset: number, bytes: Uint8Array, last: boolean): Promise<string | null>;
}

export interface GuestControls {
  /** Typed on the serial console. */
  input(bytes: Uint8Array): Promise<void>;
  /** What its program reads; null where it reads nothing that its customer sends. */
  stdin: GuestInput | null;
  /** Its terminal, where it has one. */
  resize(window: TerminalWindow): void;
  /** A connection to a port of the guest. */
  open(port: number): Promise<Duplex>;
  /** A session with the guest's own shell: a program or files (guests/src/qemu/init/shell.pl has its frames). */
  shell(): Promise<Duplex>;
  /** One viewer's connection to its screen (RFC 6143), without a password. */
  screen(): Promise<Duplex>;
  /** A request to the agent inside the guest. */
  agent(command: string, args: Record<string, unknown>): Promise<unknown>;
  reboot(): Promise<void>;
  /** `needHere`: called once its turn has come; where that throws, none is taken. */
  snapshot(needHere?: () => void): Promise<{ snapshot: string; spec: VmSpec; until: number }>;
}

/** A reserved guest, in which nothing runs yet: its token is saved before it begins. */
export interface PreparedGuest {
  token: GuestToken;
  /** Throws, with nothing left of it, where it does not start. */
  begin(): Promise<RunningGuest>;
  /** In place of `begin`: nothing of it is left. */
  discard(): Promise<void>;
}

export interface GuestDriver {
  /** As orders name it. */
  readonly name: Driver;
  /** What its results name as what they ran on. */
  readonly engine: string;
  readonly sandbox: { strength: "strong" | "weak"; why: string };
  readonly capabilities: Capabilities;
  readonly assurances: readonly Assurance[];
  offered(): Offered;
  /** What holds its guests here, in the order of the market's list. */
  readonly holds: readonly Hold[];
  /** Why the work is not what was ordered, cannot be read here or does not fit, in words for its customer; null when it can run. */
  problemWith(work: Work, ordered: Ordered): string | null;
  /** Every blob that has to come: not what the server has itself, nor what it fetches. */
  neededBlobs(work: Work, ordered: Ordered): Promise<NeededBlob[]>;
  /** Whether the work is one segment of a job: it ends where that does, and its state is what it came to. */
  isSegment(work: Work): boolean;
  /** Throws RefusedWork where the customer's bytes are at fault, and anything where it was called off; nothing is left of it then. */
  prepare(job: GuestJob): Promise<PreparedGuest>;
  /**
   * One that an earlier daemon prepared; where that was killed before it began, it begins now. Null: it never began, cannot any more, and
   * nothing of it is left. Throws where it cannot be found, or not yet.
   */
  adopt(token: GuestToken, job: GuestJob): Promise<RunningGuest | null>;
  /** Absent where guests end where they began. */
  readonly moves?: GuestMoves;
  monotonicMs(): number;
  /** Lets go of what it keeps on disk only to be quicker the next time. */
  makeRoom(): Promise<void>;
  close(): Promise<void>;
}
