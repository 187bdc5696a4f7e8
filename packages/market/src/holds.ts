/**
 * What holds the guests of a server beneath what runs them, as its owner states it in its offer. Nobody proves it: like a sandbox's
 * strength it is the owner's word, which it signs.
 */
import type { Driver } from "./drivers.ts";

const EARLIER = [
  /** A user id of the host that owns nothing else. */
  "own-user",
  /** Few calls of the host's kernel. */
  "seccomp",
  /** Limits of the process's own: of its largest file and, of a WebAssembly guest, private memory and open files. */
  "rlimits",
  /** No network but what the driver hands in. */
  "network-namespace",
  /** Control groups: memory that is touched, a weight of the processor, processes and threads. */
  "cgroup-memory",
  "cgroup-cpu",
  "cgroup-tasks",
] as const;
/** All that version 2 of an offer could say. */
export const HOLDS_OF_OFFER_2: readonly (typeof EARLIER)[number][] = EARLIER;

export const HOLDS = [
  ...EARLIER,
  /** How many files it leaves, and their bytes, although it broke out of what runs it. */
  "files",
] as const;
export type Hold = (typeof HOLDS)[number];

/** By driver, each in the order of the list above; of a driver that is not there nothing is said. */
export type Holds = Readonly<Partial<Record<Driver, readonly Hold[]>>>;

/** Of control groups: all of them or none. */
export const GROUP_HOLDS: readonly Hold[] = ["cgroup-memory", "cgroup-cpu", "cgroup-tasks"];

/** What holds every guest of these drivers. */
export const heldByAll = (holds: Readonly<Record<string, readonly string[]>>, drivers: readonly string[]): Hold[] =>
  HOLDS.filter((hold) => drivers.every((driver) => Object.hasOwn(holds, driver) && holds[driver]?.includes(hold) === true));
