/**
 * A driver whose guests exist on a simulated clock only. It passes the same contract as the others (driver-contract.ts), under the name of
 * the one for WebAssembly. A job says in its arguments what it does: `run MS EXIT TEXT` prints TEXT and ends after MS; `fail MS` dies with
 * its host; `refuse WHY` cannot be read.
 */
import { createHash } from "node:crypto";
import { nodeCrypto } from "@xenoservers/protocol/node";
import type { InputEntry } from "@xenoservers/protocol/channel";
import type { Timers } from "@xenoservers/protocol/link";
import type { Arriving, CarriedFile, GuestDriver, GuestEnding, GuestMoves, GuestToken, RunningGuest } from "../driver.ts";
import { RefusedJob } from "../refused.ts";
import { preparedJobOf, wasmGuests } from "../wasm/wasm-guests.ts";
import type { PreparedJob, WasmDriver } from "../wasm/wasm-job.ts";

const SIM_FUEL_PER_MS = 10_000_000n;
const SIM_MEMORY = "00".repeat(32);
const NOTHING = new Uint8Array(0);

type Result = Extract<GuestEnding, { kind: "result" }>;

class SimGuest {
  readonly ended: Promise<GuestEnding>;
  #end: (ending: GuestEnding) => void = () => {};
  #over = false;
  #left: number;
  /** Until its own end, or that of its fuel. */
  readonly #runsMs: number;
  #since: number;
  #cancel: () => void = () => {};
  readonly #timers: Timers;
  readonly #job: PreparedJob;
  readonly #changed = new Set<() => void>();
  #paused = false;
  /** Time it really ran: what the owner gave. */
  ranMs = 0;

  /** `leftMs`: of one that ran elsewhere before. */
  constructor(timers: Timers, job: PreparedJob, leftMs?: number) {
    this.#timers = timers;
    this.#job = job;
    this.ended = new Promise((resolve) => (this.#end = resolve));
    this.#runsMs = Math.min(Number(job.spec.args[1]), Math.ceil(Number(job.fuelMax) / Number(SIM_FUEL_PER_MS)));
    this.#left = leftMs ?? this.#runsMs;
    this.#since = timers.now();
    this.#go();
  }

  /** A made-up engine: so much for each ms of the job, wherever it runs. */
  get fuel(): bigint {
    const left = this.#over || this.#paused ? this.#left : Math.max(0, this.#left - (this.#timers.now() - this.#since));
    return BigInt(this.#runsMs - left) * SIM_FUEL_PER_MS;
  }

  get text(): Uint8Array {
    return new TextEncoder().encode(this.#job.spec.args[3] ?? "");
  }

  get tree(): InputEntry[] {
    const digest = createHash("sha256").update(this.text).digest("hex");
    return [{ path: "out/text", kind: "file", digest, size: this.text.length }];
  }

  #go(): void {
    this.#since = this.#timers.now();
    this.#cancel = this.#timers.after(this.#left, () => this.#finish());
  }

  #account(): void {
    const passed = this.#timers.now() - this.#since;
    this.ranMs += passed;
    this.#left -= passed;
    this.#since = this.#timers.now();
  }

  #finish(): void {
    const [kind, ms, exit] = this.#job.spec.args;
    if (this.#runsMs < Number(ms)) this.conclude("fuel-limit");
    else if (kind === "fail") this.fail("it was told to fail");
    else this.conclude("completed", Number(exit ?? 0));
  }

  conclude(reason: Result["reason"], exitCode: number | null = null): void {
    const { fuel, tree } = this;
    // a made-up engine takes no states down
    const ended = { kind: "result", reason, exitCode, detail: "" } as const;
    const states = { roots: null, stateRoot: null, memoryHash: reason === "stopped" ? null : SIM_MEMORY };
    if (!this.#over) this.#conclude({ ...ended, ...states, fuel, fuelInAll: fuel, tree, ...this.#now() });
  }

  fail(detail: string): void {
    if (!this.#over) this.#conclude({ kind: "host-failure", detail, ...this.#now() });
  }

  #now = () => ({ endedMonotonicMs: this.#timers.now() });

  #conclude(ending: GuestEnding): void {
    if (!this.#paused) this.#account();
    this.#over = true;
    this.#cancel();
    this.#end(ending);
    for (const changed of this.#changed) changed();
  }

  pause(): void {
    if (this.#over || this.#paused) return;
    this.#paused = true;
    this.#account();
    this.#cancel();
  }

  resume(): void {
    if (this.#over || !this.#paused) return;
    this.#paused = false;
    this.#go();
  }

  /** Of one that stands still: what is to run of it. */
  get leftMs(): number {
    return this.#left;
  }

  onChange(changed: () => void): void {
    this.#changed.add(changed);
  }
}

export interface SimDriver extends GuestDriver {
  /** By lease, what its guests really ran: one that came back is another. */
  readonly ran: ReadonlyMap<string, number>;
  /** The host loses power: every guest is gone. */
  loseGuests(): void;
}

const nothing = async (): Promise<void> => {};

function goneGuest(token: GuestToken, endedMonotonicMs: number): RunningGuest {
  const empty = async (): Promise<Uint8Array> => NOTHING;
  return {
    token,
    ended: Promise.resolve({ kind: "host-failure", detail: "its process is gone", endedMonotonicMs }),
    onChange: () => {},
    ...{ readStream: empty, readOutput: empty, stop: nothing, pause: nothing, resume: nothing, kill: nothing, dispose: nothing },
    release: () => {},
  };
}

const LEFT = "left";

/** All that another server goes on from. */
const leftOf = (guest: SimGuest): CarriedFile => ({
  name: LEFT,
  async *pieces() {
    yield new TextEncoder().encode(String(guest.leftMs));
  },
});

class ArrivingLeft implements Arriving {
  text = "";

  async add(name: string, bytes: Uint8Array): Promise<void> {
    if (name !== LEFT) throw new Error(`a guest of this driver has no ${name}`);
    this.text += new TextDecoder().decode(bytes);
  }

  discard = nothing;
}

function runningGuest(token: GuestToken, guest: SimGuest): RunningGuest {
  return {
    token,
    ended: guest.ended,
    onChange: (changed) => guest.onChange(changed),
    readStream: async (stream, offset) => (stream === "stdout" ? guest.text.subarray(offset) : NOTHING),
    readOutput: async (digest, offset, length) =>
      guest.tree.some((entry) => entry.kind === "file" && entry.digest === digest) ? guest.text.subarray(offset, offset + length) : NOTHING,
    stop: async () => guest.conclude("stopped"),
    pause: async () => guest.pause(),
    resume: async () => guest.resume(),
    kill: async () => guest.fail("its process was killed"),
    release: () => {},
    dispose: nothing,
    carry: async () => ({ running: [], rest: async () => [leftOf(guest)], dispose: nothing }),
  };
}

/** All guests of one host, by the numbers in their tokens. */
class SimHost {
  readonly timers: Timers;
  readonly guests = new Map<number, { guest: SimGuest; lease: string }>();
  /** From another server, and not begun. */
  readonly waiting = new Set<number>();
  /** Prepared here, and not begun. */
  readonly prepared = new Set<number>();
  #made = 0;

  constructor(timers: Timers) {
    this.timers = timers;
  }

  next(): number {
    return ++this.#made;
  }

  found(id: number): RunningGuest {
    const known = this.guests.get(id);
    return known ? runningGuest({ id }, known.guest) : goneGuest({ id }, this.timers.now());
  }

  begin(id: number, job: PreparedJob): RunningGuest {
    this.prepared.delete(id);
    this.guests.set(id, { guest: new SimGuest(this.timers, job), lease: job.lease });
    return this.found(id);
  }

  goOn(id: number): RunningGuest {
    if (this.waiting.delete(id)) this.guests.get(id)?.guest.resume();
    return this.found(id);
  }

  discard(id: number): void {
    for (const each of [this.prepared, this.waiting, this.guests]) each.delete(id);
  }
}

const movesOf = (host: SimHost): GuestMoves => ({
  problemWith: () => null,
  carriedMib: (_, { po }) => ({ kept: po.resources.memoryMib, sent: po.resources.memoryMib }),
  arrive: async () => new ArrivingLeft(),
  async prepare(job, arrived) {
    const id = host.next();
    const guest = new SimGuest(host.timers, preparedJobOf(job), Number((arrived as ArrivingLeft).text));
    guest.pause();
    host.guests.set(id, { guest, lease: job.lease });
    host.waiting.add(id);
    return { token: { id }, begin: async () => host.goOn(id), discard: async () => host.discard(id) };
  },
  discard: async (token) => host.discard(Number(token["id"])),
});

export function createSimDriver(timers: Timers): SimDriver {
  const host = new SimHost(timers);
  const engine: WasmDriver = {
    engine: "sim-1",
    doesRuns: false,
    sandbox: { strength: "strong", why: "", without: "", holds: ["seccomp"] },
    hasRuntime: () => false,
    monotonicMs: () => timers.now(),
    async prepare(job) {
      const [kind, why] = job.spec.args;
      if (kind === "refuse") throw new RefusedJob(why ?? "");
      const id = host.next();
      host.prepared.add(id);
      return { token: { id }, begin: async () => host.begin(id, job), discard: async () => host.discard(id) };
    },
    async adopt(token) {
      const id = Number(token["id"]);
      return host.prepared.delete(id) ? null : host.goOn(id);
    },
    makeRoom: nothing,
    close: nothing,
  };
  return {
    ...wasmGuests(nodeCrypto, engine),
    moves: movesOf(host),
    get ran() {
      const all = new Map<string, number>();
      for (const { guest, lease } of host.guests.values()) all.set(lease, (all.get(lease) ?? 0) + guest.ranMs);
      return all;
    },
    loseGuests() {
      for (const { guest } of host.guests.values()) guest.fail("the host went down");
    },
  };
}
