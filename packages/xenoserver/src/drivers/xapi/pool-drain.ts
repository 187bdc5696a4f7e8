/**
 * A host that its owner takes out of service (`xe host-disable`) is emptied of this server's machines: each moves live to a host that has
 * room, one at a time, and its lease goes on. Where none has, it stays, and its owner is told once. Who controls the inputs: the pool.
 */
import type { PoolLog } from "./pool-mirror.ts";
import type { Pool } from "./pool.ts";
import type { Vm } from "./xapi-records.ts";

/** A host whose toolstack begins anew may be out of service for a moment. */
const MOMENT_MS = 45_000;

const canMove = ({ allowed_operations: allowed }: Vm): boolean => allowed.includes("pool_migrate");
const placeOf = (vm: Vm): string => `${canMove(vm) ? "+" : "-"}${vm.resident_on}`;

export class PoolDrain {
  readonly #pool: Pool;
  readonly #log: PoolLog;
  /** Machines that did not move, from where and how: tried again when their host was in service meanwhile, or they can move now. */
  readonly #stayed = new Map<string, string>();
  /** Hosts that were out of service for longer than a moment. */
  readonly #leaving = new Set<string>();
  readonly #closing = Promise.withResolvers<void>();
  #closed = false;
  #under: Promise<void> | null = null;
  #stop: () => void = () => {};

  constructor(pool: Pool, log: PoolLog) {
    this.#pool = pool;
    this.#log = log;
  }

  start(): void {
    const look = (): void => void (this.#under ??= this.#drain().finally(() => (this.#under = null)));
    this.#stop = this.#pool.mirror.onChange(look);
    look();
  }

  #isDraining(host: string): boolean {
    const { mirror } = this.#pool;
    const found = mirror.of("host").get(host);
    return found !== undefined && !found.enabled && mirror.of("host_metrics").get(found.metrics)?.live === true;
  }

  /** The next that has to go. */
  #next(): [ref: string, vm: Vm] | null {
    const { mirror } = this.#pool;
    for (const [ref, from] of this.#stayed) if (!this.#isDraining(from.slice(1))) this.#stayed.delete(ref);
    for (const host of this.#leaving) if (!this.#isDraining(host)) this.#leaving.delete(host);
    for (const [ref, vm] of mirror.of("vm")) {
      const isHere = vm.power_state === "Running" && this.#pool.leaseOf(vm) !== null && this.#isDraining(vm.resident_on);
      if (isHere && this.#stayed.get(ref) !== placeOf(vm)) return [ref, vm];
    }
    return null;
  }

  /** In service, and with the most memory free, if that is enough. */
  #roomFor({ memory_static_max: own, memory_overhead: beside }: Vm): string | null {
    const { mirror } = this.#pool;
    const hosts = [...this.#pool.hosts()].flatMap(([ref, host]) => {
      const { live = false, memory_free: free = 0 } = mirror.of("host_metrics").get(host.metrics) ?? {};
      return live && host.enabled && free >= own + beside ? [{ ref, free }] : [];
    });
    return hosts.sort((a, b) => b.free - a.free)[0]?.ref ?? null;
  }

  /** Whether it was so for longer than a moment before: after the moment all is looked at anew. */
  async #isLeaving(host: string): Promise<boolean> {
    if (this.#leaving.has(host)) return true;
    await Promise.race([this.#pool.wait(MOMENT_MS), this.#closing.promise]);
    if (this.#isDraining(host)) this.#leaving.add(host);
    return false;
  }

  async #drain(): Promise<void> {
    for (let next = this.#next(); next && !this.#closed; next = this.#next()) {
      const [ref, vm] = next;
      if (!(await this.#isLeaving(vm.resident_on))) continue;
      this.#stayed.set(ref, placeOf(vm));
      const to = this.#roomFor(vm);
      try {
        if (to === null) throw new Error("no other host has room for it");
        // XAPI ends a machine that cannot be suspended as it moves
        if (!canMove(vm)) throw new Error("its system has no drivers of Xen's, or is busy");
        await this.#pool.mirror.run("VM.pool_migrate", ref, to, { live: "true" });
        this.#log("a machine has moved to another host", { machine: vm.name_label });
      } catch (error) {
        this.#log("a machine stays on a host that is out of service", { machine: vm.name_label, why: (error as Error).message });
      }
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#closing.resolve();
    this.#stop();
    await this.#under;
  }
}
