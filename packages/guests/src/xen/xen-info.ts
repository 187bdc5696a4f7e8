/** What `xl info` prints. Pure. Who controls the inputs: the toolstack and the hypervisor. */
import type { DomainKind } from "./domain-config.ts";

export interface XenInfo {
  version: string;
  /** Of the kinds of domains, those that the hardware gives: pv, hvm, hap among others. */
  abilities: readonly string[];
  scheduler: string;
  cpus: number;
  memoryMib: number;
  freeMib: number;
}

/** Throws, by its name, where a line that has to be there is not. */
export function parseInfo(text: string): XenInfo {
  const lines = new Map(
    text.split("\n").flatMap((line) => {
      const [, key, value] = /^(\w+) *: (.*)$/.exec(line) ?? [];
      return key === undefined || value === undefined ? [] : [[key, value.trim()] as const];
    }),
  );
  const word = (key: string): string => {
    const value = lines.get(key);
    if (value === undefined || value === "") throw new Error(`xl info does not say ${key}`);
    return value;
  };
  const whole = (key: string): number => {
    const value = word(key);
    if (!/^\d{1,15}$/.test(value)) throw new Error(`xl info says ${key} in no number`);
    return Number(value);
  };
  return {
    ...{ version: word("xen_version"), abilities: word("virt_caps").split(" "), scheduler: word("xen_scheduler") },
    ...{ cpus: whole("nr_cpus"), memoryMib: whole("total_memory"), freeMib: whole("free_memory") },
  };
}

/** Whether memory of its domains can be sent to another host while they run, for which the hypervisor must see what they write. */
export const sendsLive = ({ kind, info }: { kind: DomainKind; info: Pick<XenInfo, "abilities"> }): boolean =>
  kind === "pvh" || info.abilities.includes("shadow");
