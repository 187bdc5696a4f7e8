/** How a machine ended, and what finds one again. */
import type { InputEntry } from "@xenoservers/protocol/channel";
import type { Base } from "../images/disks.ts";
import { isCgroup, type Cgroup } from "../../cgroup.ts";
import type { VmEnd } from "./vm.ts";

/** How a machine that had begun ended. Each kind has one who brought it about: see endingOf (vm-ends.ts). */
export type MachineEnd =
  /** `stopped`: it had been asked to. */
  (
    | { kind: "job"; exitCode: number; tree: InputEntry[]; detail: string; stopped: boolean }
    | { kind: "deterministic"; instructions: bigint; memoryHash: string }
    | VmEnd
    /** Only this host can have done it. */
    | { kind: "host"; detail: string }
  ) & {
    /** By this host's clock; absent where nobody knows it but by hearing of it. */
    endedMonotonicMs?: number;
  };

/** What finds the machine again. */
export interface MachineToken {
  folder: string;
  pid: number;
  startTicks: string;
  kind: "oci" | "deterministic" | "other";
  outputMibMax: number;
  diskMib: number;
  uid: number;
  /** What lies under its disk; empty where it has none. */
  base: string;
  baseFormat: Base["format"] | "";
  cgroup: string;
  cgroupKind: string;
  ociToken: string;
  /** The host's, as it was started; absent in tokens of earlier versions. */
  boot?: string;
  [key: string]: string | number;
}

/** Null where the machine is held by none. */
export function cgroupOf({ cgroup, cgroupKind }: MachineToken): Cgroup | null {
  const named: unknown = { kind: cgroupKind, folders: cgroup.split(" ") };
  return isCgroup(named) ? named : null;
}
