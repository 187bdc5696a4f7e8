/** What the WASI calls share: the guest's memory, its descriptors, its files, and the world that was handed in. */
import type { Descriptors } from "./descriptors.ts";
import type { FileSystem } from "./file-system.ts";
import type { Clock } from "../clock.ts";
import type { Random } from "../random.ts";
import type { GuestMemory } from "./guest-memory.ts";
import type { Layout } from "./layouts.ts";

/** Everything outside the guest: all of it bound by the job's hash, so that nothing differs between two runs. */
export interface World {
  args: readonly string[];
  env: readonly (readonly [string, string])[];
  /** What the guest's real-time clock shows at its start, in ns since 1970. */
  clockBaseNs: bigint;
  random: Random;
}

export interface Host {
  memory: GuestMemory;
  descriptors: Descriptors;
  files: FileSystem;
  world: World;
  clock: Clock;
  layout: Layout;
}
