/**
 * What `market.run` and `market.quote` take: names and words are those of `xeno run`. Who controls the inputs: the program that calls, or
 * whoever it has them from.
 */
import type { ReceiptProgress } from "./long-receipt.ts";
import type { Assurance, MachineDriver, PaymentTerms } from "@xenoservers/market";
import type { ImageFormat } from "@xenoservers/protocol";
import type { ByteSource } from "@xenoservers/protocol/channel";
import type { Given, ReadProgress } from "../given-bytes.ts";
import type { ImageWatch } from "../oci/image-watch.ts";
import type { UploadProgress } from "../session/upload.ts";

/** A file's text, its bytes, or where on this machine it lies. */
export type FileContent = string | Uint8Array | { path: string };

/** A script that is no file of this machine. */
interface Source {
  source: string;
  /** As a file of it would be called; absent: main.py. */
  name?: string;
}

/** What is to run: one of these. */
interface Program {
  /** A script, an archive or a folder with `__main__.py`, or `{ source }`: CPython on WASI. */
  python?: string | Source;
  /** A WebAssembly module: a file, or its bytes. */
  module?: string | Uint8Array;
  /**
   * An OCI image: NAME:TAG, oci:DIR[:NAME] or archive:FILE[:NAME], or an archive's bytes as `docker save` writes it; `args` are the program
   * in it and its arguments.
   */
  image?: Given;
  /** A disk image to boot: a file, its bytes (a Blob is read piece by piece), or an address with `digest`. */
  vm?: Given;
  /** An installer's medium. */
  iso?: Given;
  /** A Linux kernel to boot. */
  kernel?: Given;
}

/** What goes in, what comes back. */
interface Job {
  args?: readonly string[];
  env?: Readonly<Record<string, string>>;
  /** By name below /in, where they are read-only. */
  files?: Readonly<Record<string, FileContent>>;
  /** A folder of this machine, read-only at /in. */
  in?: string;
  /** HOST or HOST::/guest/path: copied in, changes copied back. */
  dir?: readonly string[];
  /** What a module or script reads. */
  stdin?: string | Uint8Array;
  /** A folder of this machine for what the job leaves in /out; absent: it stands in the result's `files`. */
  out?: string;
  /** What the job leaves in /out stays with its server for a while: `files` lists it, without bytes. */
  leaveFiles?: boolean;
  /** Its server keeps nothing of what goes in for your next lease. */
  forgetInputs?: boolean;
}

/** What it may cost, and where it may run. */
interface Bounds {
  /** The most that it may cost: "0.50", or nanos; absent: 1.00. */
  budget?: string | bigint;
  /** The most per hour. */
  maxPrice?: string | bigint;
  /** The most of it that may go to the broker: "2.5%". */
  maxFee?: string;
  /** The longest run: "10m", or milliseconds; absent: an hour. */
  maxTime?: string | number;
  /**
   * The most work, in 10^9 fuel (about 0.1 s of one core each); absent: on result 10 for each second of maxTime, or of ten minutes, and
   * 100.
   */
  maxFuel?: number;
  /** Of stdout and stderr: "64M". */
  maxOutput?: string;
  cpu?: number;
  /** Memory: "512M". */
  mem?: string;
  /** Room for files: "256M". */
  disk?: string;
  /** A machine ends at the server where it began: its owner never moves it to another of its servers. */
  stay?: boolean;
  /** Conditions, as for `search`: "region=eu sandbox=strong". */
  where?: string;
  on?: "mine" | "market";
  assurance?: Assurance;
  pay?: PaymentTerms;
  label?: string;
  /** Paid from this account: its id, or its name. */
  account?: string;
  /** Draws on the hold of a batch. */
  batch?: string;
  /** Leases, by the first letters of their ids, that must have ended by themselves with exit code 0 before it is read and ordered. */
  after?: readonly string[];
  /** Where the market is full, waits for room for so long: "10m", or milliseconds, from a second to a day; absent: refused as `busy`. */
  wait?: string | number;
}

/** Of images and machines. */
interface Machine {
  /** Of images: the program has a terminal. */
  tty?: boolean;
  workdir?: string;
  stopSignal?: string;
  /** Until a program that was asked to end is killed: "10s". */
  stopGrace?: string | number;
  entrypoint?: string;
  format?: ImageFormat;
  /** Of an image that the server fetches by address. */
  digest?: string;
  initrd?: Given;
  append?: string;
  machine?: "pc" | "q35" | "microvm";
  uefi?: boolean;
  tpm?: boolean;
  windows?: boolean;
  screen?: boolean;
  hostname?: string;
  user?: string;
  /** A file with a public key that may log in (cloud-init), or its bytes. */
  sshKey?: Given;
  /** A file for cloud-init, or its bytes. */
  userData?: Given;
  network?: boolean;
  /** Names that the guest may reach, or "public"; absent: none. */
  egress?: string;
  egressMax?: string;
  /** "any": servers that emulate machines in software too. */
  accel?: "kvm" | "any";
  /** What runs the machine: QEMU's machines unless it is said. */
  driver?: MachineDriver;
}

/** What is told of an order and its job, and what is read meanwhile. */
export interface Watching {
  /** Calls the run off: nothing is ordered any more, or what was ordered is given up. */
  signal?: AbortSignal;
  /** Its lease, as soon as the order has one. */
  onLease?(lease: string): void;
  /** waiting, preparing, running, paused (behind running, until it is running again), ended, reconnecting, matched again, problems. */
  onState?(state: string): void;
  /** So much of the job has gone to its server by now. */
  onSent?(progress: UploadProgress): void;
  /** While it waits for room: how many orders come before it, and until when it waits (broker time, ms since 1970). */
  onPlace?(ahead: number, until: number): void;
  /**
   * Of an image, whose program then reads as it comes what this gives, such as `process.stdin`, or null for nothing: asked once, when it
   * runs. `isTerminal`: what it reads is a terminal (`tty`). A run that is prepared takes it both there and where it is ordered.
   */
  onInput?(isTerminal: boolean): ByteSource | null;
  /** How long its receipt waits for the log to take what was signed last: 5,000; what it has not taken is one party's word. */
  receiptWaitMs?: number;
  /** How far the fetch of its receipt is, where that is long; what came stays for the next, should it break off. */
  onReceipt?(progress: ReceiptProgress): void;
}

/** How a lease is followed that was ordered before. */
export interface AttachOptions extends Watching {
  /** What the job leaves in /out comes to this folder, where only new names are written. */
  out?: string;
  /** What it leaves in /out stays with its server: `result.files` lists it. */
  leaveFiles?: boolean;
  /** What cannot be written here. */
  onWarning?(text: string): void;
}

/** What is told while it is read. */
interface Reading {
  /** What it is, in words: which Python, which image. */
  onNote?(text: string): void;
  /** Of each file of this machine, in folders too, and of bytes in their place: how much of it was read. */
  onRead?(progress: ReadProgress): void;
  /** Of an image that is fetched: how much of it is here. */
  onImage?: ImageWatch;
  /** What cannot be done as asked and is no reason to end: a file that cannot be written here, an address that is not reached. */
  onWarning?(text: string): void;
}

/** What `market.run` takes. */
export interface RunInput extends Program, Job, Bounds, Machine, Watching, Reading {}
