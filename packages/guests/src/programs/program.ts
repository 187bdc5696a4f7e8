/** A program that was started, whoever did: this process or its starter (start.ts). */
import type { Socket } from "node:net";
import type { Exit, ProcessId } from "./process-id.ts";

/** Opened for the program alone. Two entries that are one object are one open file: what is written at either follows the other's. */
export interface OpenFile {
  file: string;
  /** As open(2) takes them. */
  flags: number | string;
  mode?: number;
}

/** One of a program's descriptors; a pipe is a socket whose other end is given. */
type Stdio = "ignore" | "pipe" | OpenFile;

/** As node:child_process has them. */
interface Given {
  /** This process's own where there is none. */
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  uid?: number;
  gid?: number;
}

export interface StartOptions extends Given {
  stdio: readonly Stdio[];
  /** A session and a process group of its own. */
  detached?: boolean;
  /** In place of its path. */
  argv0?: string;
}

export interface RunOptions extends Given {
  /** Milliseconds. */
  timeout?: number;
  killSignal?: NodeJS.Signals;
  /** Bytes of either output; a mebibyte where it is not said. */
  maxBuffer?: number;
  signal?: AbortSignal;
}

/** What a program that ran to its end printed. */
export interface Printed {
  stdout: string;
  stderr: string;
}

export interface Program extends Pick<ProcessId, "pid"> {
  /** Whatever is a pipe, by descriptor. */
  stdio: readonly (Socket | null)[];
  /** Neither code nor signal where nobody can tell: whoever started it was killed meanwhile. */
  exited: Promise<Exit>;
  /** Nothing where it has ended. `isGroup`: with all of its process group, which it leads. */
  kill(signal: NodeJS.Signals, isGroup?: boolean): void;
  /** This process does not stay for it. */
  unref(): void;
}

/** Nothing was started: whoever asked may ask another. */
export class NotAsked extends Error {
  override name = "NotAsked";
}
