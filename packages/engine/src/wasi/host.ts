/** What the WASI calls share: the guest's memory, its descriptors, its files, and the world that was handed in. */
import type { Descriptors } from "./descriptors.ts";
import type { FileSystem } from "./file-system.ts";
import type { GuestMemory } from "./guest-memory.ts";

/** Everything outside the guest. The engine has no clock, randomness or output of its own. */
export interface World {
  args: readonly string[];
  env: readonly (readonly [string, string])[];
  realtimeNs(): bigint;
  monotonicNs(): bigint;
  /** Fills the buffer. */
  random(into: Uint8Array): void;
  /** Waits, or moves a virtual clock. */
  sleep(ns: bigint): void;
}

export interface Host {
  memory: GuestMemory;
  descriptors: Descriptors;
  files: FileSystem;
  world: World;
}
