/** What a server and its starter say to each other. Both are this very program; nothing in it is a stranger's but what programs print. */
import type { Exit, ProcessId } from "./process-id.ts";
import type { OpenFile, RunOptions, StartOptions } from "./program.ts";

interface Asked {
  id: number;
  program: string;
  args: readonly string[];
}

/** A file by its place in the list of those that are opened. */
export type StdioAsked = "ignore" | "pipe" | number;

export interface StartAsked extends Asked {
  kind: "start";
  options: Omit<StartOptions, "stdio">;
  files: readonly OpenFile[];
  stdio: readonly StdioAsked[];
}

export interface RunAsked extends Asked {
  kind: "run";
  options: Omit<RunOptions, "signal">;
}

interface KillAsked {
  kind: "kill";
  id: number;
  signal: NodeJS.Signals;
  isGroup: boolean;
}

/** Answered at once. */
interface PingAsked {
  kind: "ping";
}

export type ToStarter = StartAsked | RunAsked | KillAsked | PingAsked;

/** An error as it crosses a channel. */
export interface ToldError {
  message: string;
  /** What else it has of its own: code, errno, syscall, stdout and so on. */
  facts: Record<string, unknown>;
}

export type FromStarter =
  | { kind: "ready" }
  | { kind: "pong" }
  | ({ kind: "started"; id: number } & ProcessId)
  /** Of one that was started. */
  | ({ kind: "ended"; id: number } & Exit)
  /** Of one that ran to its end. */
  | { kind: "printed"; id: number; stdout: string; stderr: string }
  /** It was not started, or ran to an end that is a failure. */
  | { kind: "failed"; id: number; error: ToldError }
  /** It was not started, for the server's socket could not be reached. */
  | { kind: "unreached"; id: number; why: string };
