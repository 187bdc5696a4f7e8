/**
 * What the daemon runs for itself over a stranger's bytes, before there is a machine or after it: a box in a control group of its own, so
 * that making a guest ready takes no more of the host than a small guest does. Who controls the inputs: the customer, whose bytes the
 * program reads; sizes, the daemon.
 */
import { createHash } from "node:crypto";
import type { Command } from "../../command.ts";
import { hostLimits, removeCgroup, wasOutOfMemory, type Cgroup, type Share } from "../../cgroup.ts";
import { Refusal } from "../refusal.ts";
import { OWN_BOX, boxed, type Box } from "./box.ts";

/** Of one vCPU's weight, and of no more than is idle: what nobody else wants makes it end sooner. */
const share = (memoryMib: number): Share => ({ vcpu: 1, ceilingUs: null, memoryMib, tasksMax: 64 });

type OwnBox = Pick<Box, "folder" | "fileMibMax" | "uid"> & Partial<Pick<Box, "files">>;

interface Work extends OwnBox {
  /** Of memory that it touches, pages of files that it writes not counted: the kernel writes those out first. */
  memoryMib: number;
}

/** By its folder, which nobody else has. */
const nameOf = (folder: string): string => `own-${createHash("sha256").update(folder).digest("hex").slice(0, 24)}`;

/** Calls with such a group, null where groups hold nothing; what still runs in it is ended after that. */
export async function inOwnGroup<T>(folder: string, memoryMib: number, call: (cgroup: Cgroup | null) => Promise<T>): Promise<T> {
  const limits = await hostLimits();
  const cgroup = await limits.create(nameOf(folder), share(memoryMib));
  try {
    return await call(cgroup);
  } finally {
    if (cgroup !== null) await removeCgroup(cgroup);
  }
}

/**
 * Calls with the command that runs a program in such a box. Throws Refusal where the kernel ended it for memory: whether the bytes or this
 * host brought that about, nobody can tell.
 */
export const inOwnBox = <T>({ memoryMib, ...box }: Work, words: readonly string[], call: (command: Command) => Promise<T>): Promise<T> =>
  inOwnGroup(box.folder, memoryMib, async (cgroup) => {
    try {
      return await call(await boxed({ ...OWN_BOX, ...box, cgroup }, words));
    } catch (cause) {
      if (cgroup === null || !(await wasOutOfMemory(cgroup))) throw cause;
      throw new Refusal("untold", `${words[0]} took more than the ${memoryMib} MiB of memory that it may for an image`, { cause });
    }
  });
