/** What holds a driver's guests on this host, in the market's words and order: for its offer. */
import type { QemuHost } from "@xenoservers/guests";
import { GROUP_HOLDS, HOLDS, type Hold } from "@xenoservers/market";

interface Holding {
  ownUser: boolean;
  /** Few calls of the kernel. */
  calls: boolean;
  /** A process's own limits. */
  rlimits: boolean;
  network: boolean;
  /** Control groups of either version. */
  groups: boolean;
  /** It can make no file, nor open one to write. */
  files: boolean;
}

export function holdsOf({ ownUser, calls, rlimits, network, groups, files }: Holding): Hold[] {
  const apart: Partial<Record<Hold, boolean>> = { "own-user": ownUser, seccomp: calls, rlimits, "network-namespace": network, files };
  return HOLDS.filter((hold) => apart[hold] ?? (groups && GROUP_HOLDS.includes(hold)));
}

/** QEMU's box has all but what only root, or a group, can give; how many files an escaped guest makes there has no bound. */
export const machineHolds = ({ ownUser, limits }: Pick<QemuHost, "ownUser" | "limits">): Hold[] =>
  holdsOf({ ownUser, calls: true, rlimits: true, network: true, groups: limits.kind !== "process", files: false });
