/**
 * The host that a machine runs on, and when that host booted: a host that fell over and came back has its machines halted, as if each had
 * ended by itself. The boot is kept in the lease's folder, for the daemon may be away meanwhile. Who controls the inputs: the pool.
 */
import { readFile } from "node:fs/promises";
import { z } from "zod";
import { writeWhole } from "@xenoservers/protocol/files";
import { NO_REF, zStarts, type RecordOf, type Vm } from "./xapi-records.ts";
import type { Pool } from "./pool.ts";

/** Hosts count back from their clock at each start of their toolstack, and clocks are set. No machine's host boots twice within it. */
const CLOCK_SECONDS = 60;
const ALWAYS = "19700101T00:00:00Z";

const zSeat = z.object({ host: z.string(), boot: z.number().nullable() });
type Kept = z.infer<typeof zSeat>;
/** `starts`: how often the pool had begun it when this server began to follow it, by its messages; null where that is not known. */
const zFile = z.object({ seat: zSeat.nullable(), starts: z.number().nullable() });
type Host = RecordOf<"host">;

/** Seconds since 1970 by the host's clock; null where it does not say so, as in the midst of its start. */
function bootOf({ other_config: { boot_time: text } }: Host): number | null {
  const seconds = text === undefined ? NaN : Number.parseFloat(text);
  return Number.isFinite(seconds) ? seconds : null;
}

export class PoolSeat {
  readonly #pool: Pool;
  readonly #file: string;
  #kept: Kept | null = null;
  #starts: number | null = null;
  #written: Promise<void> = Promise.resolve();

  constructor(pool: Pool, file: string) {
    this.#pool = pool;
    this.#file = file;
  }

  /** What an earlier daemon knew; what cannot be read says nothing. */
  async load(): Promise<void> {
    const read = async () => zFile.parse(JSON.parse(await readFile(this.#file, "utf8")));
    const { seat, starts } = await read().catch(() => ({ seat: null, starts: null }));
    this.#kept = seat;
    this.#starts = starts;
  }

  /** What is counted from: asked once, as the machine is first followed. `usual`: how often this server begins one at the least. */
  async count({ uuid }: Vm, usual: number): Promise<void> {
    if (this.#starts !== null) return;
    this.#starts = await this.#startsOf(uuid).then(
      (starts) => Math.max(starts, usual),
      () => null,
    );
    this.#keep(this.#kept);
  }

  #keep(kept: Kept | null): void {
    this.#kept = kept;
    const text = JSON.stringify({ seat: kept, starts: this.#starts } satisfies z.infer<typeof zFile>);
    // one that cannot be written is known to this daemon alone
    this.#written = this.#written.then(() => writeWhole(this.#file, text)).catch(() => {});
  }

  /** All that was seen is in the folder. */
  settled(): Promise<void> {
    return this.#written;
  }

  /** The host as the pool knows it now: null where the machine has run on none that is known, undefined where the pool has it no more. */
  host(): Host | null | undefined {
    const kept = this.#kept;
    if (kept === null) return null;
    return [...this.#pool.mirror.of("host").values()].find(({ uuid }) => uuid === kept.host);
  }

  isLive(): boolean {
    const host = this.host();
    return host ? (this.#pool.mirror.of("host_metrics").get(host.metrics)?.live ?? false) : host === null;
  }

  /** Whether the host has booted since the machine was seen on it. */
  hasBooted(): boolean {
    const host = this.host();
    const [before, now] = [this.#kept?.boot ?? null, host ? bootOf(host) : null];
    return before !== null && now !== null && Math.abs(now - before) > CLOCK_SECONDS;
  }

  /** Looks where the machine is. One that has moved is followed, unless it may have been begun anew after its host fell over. */
  see({ resident_on: at, power_state: state }: Vm): void {
    // its memory is on a disk: no host that goes takes it along
    if (state === "Suspended") return this.#leave();
    const host = at === NO_REF ? undefined : this.#pool.mirror.of("host").get(at);
    if (!host) return;
    const kept = this.#kept;
    const isNew = kept?.host !== host.uuid && (kept === null || (this.isLive() && !this.hasBooted()));
    const isLater = kept?.host === host.uuid && kept.boot === null && bootOf(host) !== null;
    if (isNew || isLater) this.#keep({ host: host.uuid, boot: bootOf(host) });
  }

  #leave(): void {
    if (this.#kept !== null) this.#keep(null);
  }

  /** Whether it is not where it was, or its host is not as it was: its machine may be another than the one that was begun. */
  isDoubtful({ resident_on: at }: Vm): boolean {
    const host = this.#pool.mirror.of("host").get(at);
    return this.#kept !== null && host !== undefined && (this.hasBooted() || host.uuid !== this.#kept.host);
  }

  /** Whether the machine's host has come up: it takes machines, and has said what became of those that it had. */
  isInService({ resident_on: at }: Vm): boolean {
    return this.#pool.mirror.of("host").get(at)?.enabled === true;
  }

  /** It goes on where it is: a clock was set, or its memory was carried there. */
  accept({ resident_on: at }: Vm): void {
    const host = this.#pool.mirror.of("host").get(at);
    if (host) this.#keep({ host: host.uuid, boot: bootOf(host) });
  }

  /** Whether the pool has begun the machine anew by itself, or by its people, since it is followed. */
  async isAnew({ uuid }: Vm, usual: number): Promise<boolean> {
    return (await this.#startsOf(uuid)) > (this.#starts ?? usual);
  }

  async #startsOf(uuid: string): Promise<number> {
    const messages = await this.#pool.session.call(zStarts, "message.get", "VM", uuid, ALWAYS);
    return Object.values(messages).filter(({ name }) => name === "VM_STARTED").length;
  }
}
