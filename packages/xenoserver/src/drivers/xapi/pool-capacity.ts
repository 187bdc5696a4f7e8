/** What a pool can give to leases now: the hosts that live and take machines, and the storage that its owner named. Pure. */
import { RESOURCE_KEYS, type Resources } from "@xenoservers/market";
import { BESIDE_MIB } from "./pool-work.ts";
import type { RecordOf, Vm } from "./xapi-records.ts";

const MIB = 1024 * 1024;
/** Of what is free; the rest is the hypervisor's own use for each machine, and its owner's. */
const MEMORY_SHARE = 0.9;
const DISK_SHARE = 0.9;

interface PoolView {
  hosts: ReadonlyMap<string, Pick<RecordOf<"host">, "enabled" | "metrics" | "cpu_info">>;
  metrics: ReadonlyMap<string, Pick<RecordOf<"host_metrics">, "live" | "memory_free" | "memory_total">>;
  machines: Iterable<Vm>;
  /** Null where the pool has it no more: then there is no room for anything. */
  sr: Pick<RecordOf<"sr">, "physical_size" | "physical_utilisation"> | null;
  /** Whether it runs a lease of this server. */
  isOwn(vm: Vm): boolean;
  /** What its disks take already. */
  ownDiskBytes: number;
  /** For images and snapshots. */
  keptBytes: number;
}

/** What machines of others take is not this server's to give. */
export function capacityOfPool({ hosts, metrics, machines, sr, isOwn, ownDiskBytes, keptBytes }: PoolView): Resources {
  if (sr === null) return { vcpu: 0, memoryMib: 0, diskMib: 0 };
  const own = new Map<string, number>();
  for (const vm of machines) {
    if (isOwn(vm)) own.set(vm.resident_on, (own.get(vm.resident_on) ?? 0) + vm.memory_static_max);
  }
  let [vcpu, memory] = [0, 0];
  for (const [ref, host] of hosts) {
    const { live, memory_free: free } = metrics.get(host.metrics) ?? { live: false, memory_free: 0 };
    if (!live || !host.enabled) continue;
    vcpu += Number(host.cpu_info["cpu_count"] ?? 0);
    memory += free + (own.get(ref) ?? 0);
  }
  const disk = sr.physical_size - sr.physical_utilisation + ownDiskBytes - keptBytes;
  return {
    vcpu,
    memoryMib: Math.max(0, Math.floor((memory * MEMORY_SHARE) / MIB)),
    // a lease has a vCPU at least, so that there are no more of them
    diskMib: Math.max(0, Math.floor((disk * DISK_SHARE) / MIB) - vcpu * BESIDE_MIB),
  };
}

/** What the largest machine may have: that of one host, whichever has most of it. */
export function largestOfPool({ hosts, metrics }: Pick<PoolView, "hosts" | "metrics">): Pick<Resources, "vcpu" | "memoryMib"> {
  const live = [...hosts.values()].flatMap(({ enabled, metrics: ref, cpu_info: { cpu_count: vcpu } }) => {
    const found = metrics.get(ref);
    return enabled && found?.live === true ? [{ vcpu: Number(vcpu ?? 0), memoryMib: Math.floor(found.memory_total / MIB) }] : [];
  });
  const most = (key: "vcpu" | "memoryMib"): number => Math.max(0, ...live.map((host) => host[key]));
  return { vcpu: most("vcpu"), memoryMib: most("memoryMib") };
}

/** Far below what is left of a pool's memory and disk, which are a little more or less all the time. */
const TRIFLE = 0.05;

/** Whether it is worth another offer. */
export const isOther = (listed: Resources, now: Resources): boolean =>
  RESOURCE_KEYS.some((key) => Math.abs(now[key] - listed[key]) > listed[key] * TRIFLE);
