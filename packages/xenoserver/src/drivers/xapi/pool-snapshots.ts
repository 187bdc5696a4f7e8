/**
 * A customer's own snapshots of running machines, as the pool's checkpoints: they stay with the pool, for that customer alone, in the room
 * and for the time that the owner gives. Who controls the inputs: the customer, the guest.
 */
import { randomBytes } from "node:crypto";
import { z } from "zod";
import { zVmSpec, type VmSpec } from "@xenoservers/protocol";
import type { GuestControls } from "../driver.ts";
import { LEASE, MARK, READY, type Pool } from "./pool.ts";
import { zNothing, type Vm } from "./xapi-records.ts";

const SNAPSHOT = "xenoserver-snapshot";
const SHARE = 0.5;
const HOUR_MS = 3_600_000;
const MIB_PER_GIB = 1024;

const zAbout = z.object({ customer: z.string(), id: z.string().regex(/^[0-9a-f]{64}$/), spec: zVmSpec, until: z.number() });
type About = z.infer<typeof zAbout>;

interface SnapshotRules {
  gib: number;
  hours: number;
  now(): number;
}

const mibOf = ({ spec }: Pick<About, "spec">): number => spec.memoryMib + spec.diskMib;

function aboutOf({ other_config: { [SNAPSHOT]: text } }: Vm): About | null {
  try {
    return text === undefined ? null : zAbout.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

export class PoolSnapshots {
  readonly #pool: Pool;
  readonly #rules: SnapshotRules;
  /** One is taken at a time: the room is counted before. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(pool: Pool, rules: SnapshotRules) {
    this.#pool = pool;
    this.#rules = rules;
  }

  async #kept(): Promise<{ ref: string; about: About }[]> {
    return (await this.#pool.vms()).flatMap(([ref, vm]) => {
      const about = this.#pool.isOwn(vm) && this.#pool.leaseOf(vm) === null && vm.is_a_snapshot ? aboutOf(vm) : null;
      return about ? [{ ref, about }] : [];
    });
  }

  /** Removes those whose time is over. */
  async tidy(): Promise<void> {
    for (const { ref, about } of await this.#kept()) if (about.until <= this.#rules.now()) await this.#pool.removeVm(ref);
  }

  /** Throws, in words for the customer, where there is no room. */
  take(vm: string, of: { customer: string; spec: VmSpec }): ReturnType<GuestControls["snapshot"]> {
    const taken = this.#turn.then(() => this.#take(vm, of));
    this.#turn = taken.catch(() => {});
    return taken;
  }

  async #take(vm: string, { customer, spec }: { customer: string; spec: VmSpec }): ReturnType<GuestControls["snapshot"]> {
    await this.tidy();
    const { gib, hours, now } = this.#rules;
    const kept = await this.#kept();
    const used = (of: (about: About) => boolean): number => kept.reduce((sum, { about }) => sum + (of(about) ? mibOf(about) : 0), 0);
    const room = gib * MIB_PER_GIB;
    const left = Math.min(room - used(() => true), room * SHARE - used((about) => about.customer === customer));
    if (mibOf({ spec }) > left)
      throw new Error(
        `no room for a snapshot: it may need ${mibOf({ spec })} MiB, this server has ${Math.max(0, Math.floor(left))} MiB left for yours`,
      );
    const about: About = { customer, id: randomBytes(32).toString("hex"), spec, until: now() + hours * HOUR_MS };
    const ref = await this.#checkpoint(vm, `xeno-snapshot-${about.id.slice(0, 16)}`);
    const { session, mark } = this.#pool;
    // XAPI's own making, which its clones are known by
    await this.#pool.noteDisk(await session.call(z.string(), "VM.get_suspend_VDI", ref), MARK, mark);
    await this.#pool.note(ref, SNAPSHOT, JSON.stringify(about));
    await this.#pool.note(ref, READY, "1");
    // it is no machine of the lease from here on, and stays when that one goes; what stopped before goes with it
    await session.call(zNothing, "VM.remove_from_other_config", ref, LEASE);
    return { snapshot: about.id, spec, until: about.until };
  }

  /** XAPI ends a machine that does not suspend itself as it is asked, and leaves one suspended of which there was no room for a copy. */
  async #checkpoint(vm: string, name: string): Promise<string> {
    const { session, mirror } = this.#pool;
    if (!(await session.call(z.array(z.string()), "VM.get_allowed_operations", vm)).includes("checkpoint"))
      throw new Error("the machine cannot be kept as it runs now: it is busy, or its system has no drivers of Xen's");
    try {
      return await mirror.run("VM.checkpoint", vm, name);
    } catch (error) {
      const state = await session.call(z.string(), "VM.get_power_state", vm);
      if (state === "Suspended") await this.#pool.bring(vm, ["Running"], "VM.resume", false, false);
      throw error;
    }
  }

  /** Null where this customer has no such snapshot here, or its time is over. */
  async find(customer: string, id: string): Promise<{ ref: string; spec: VmSpec } | null> {
    const found = (await this.#kept()).find(
      ({ about }) => about.customer === customer && about.id === id && about.until > this.#rules.now(),
    );
    return found ? { ref: found.ref, spec: found.about.spec } : null;
  }
}
