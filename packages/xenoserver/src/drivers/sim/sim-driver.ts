/**
 * A driver whose guests exist on a simulated clock only. It passes the same contract as the wasm driver (driver-contract.ts).
 * A job says in its arguments what it does: `run MS EXIT TEXT` prints TEXT and ends after MS; `fail MS` dies with its host.
 */
import { createHash } from "node:crypto";
import type { InputEntry } from "@xenoservers/protocol/channel";
import type { Timers } from "@xenoservers/protocol/link";
import type { GuestDriver, GuestEnding, GuestToken, PreparedJob, RunningGuest } from "../driver.ts";

const SIM_FUEL_PER_MS = 10_000_000n;
/** A made-up engine takes nothing down. */
const NO_CHECKPOINTS = { roots: null, stateRoot: null } as const;
const SIM_MEMORY = "00".repeat(32);

class SimGuest {
  readonly ended: Promise<GuestEnding>;
  #end!: (ending: GuestEnding) => void;
  #over = false;
  #left: number;
  /** Until its own end, or that of its fuel. */
  readonly #runsMs: number;
  #since: number;
  #cancel: () => void = () => {};
  readonly #timers: Timers;
  readonly #job: PreparedJob;
  readonly #changed = new Set<() => void>();
  /** Time it really ran: what the owner gave. */
  ranMs = 0;

  constructor(timers: Timers, job: PreparedJob) {
    this.#timers = timers;
    this.#job = job;
    this.ended = new Promise((resolve) => (this.#end = resolve));
    this.#runsMs = Math.min(Number(job.spec.args[1]), Math.ceil(Number(job.fuelMax) / Number(SIM_FUEL_PER_MS)));
    this.#left = this.#runsMs;
    this.#since = timers.now();
    this.#go();
  }

  /** A made-up engine: so much for each ms of the job, wherever it runs. */
  get fuel(): bigint {
    const left = this.#over || this.paused ? this.#left : Math.max(0, this.#left - (this.#timers.now() - this.#since));
    return BigInt(this.#runsMs - left) * SIM_FUEL_PER_MS;
  }

  get text(): Uint8Array {
    return new TextEncoder().encode(this.#job.spec.args[3] ?? "");
  }

  get tree(): InputEntry[] {
    return [{ path: "out/text", kind: "file", digest: createHash("sha256").update(this.text).digest("hex"), size: this.text.length }];
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
    if (this.#runsMs < Number(ms)) {
      const endedMonotonicMs = this.#timers.now();
      this.conclude({
        kind: "result",
        reason: "fuel-limit",
        exitCode: null,
        detail: "",
        fuel: this.fuel,
        memoryHash: SIM_MEMORY,
        ...NO_CHECKPOINTS,
        fuelInAll: this.fuel,
        endedMonotonicMs,
        tree: this.tree,
      });
    } else if (kind === "fail") this.conclude({ kind: "host-failure", detail: "it was told to fail", endedMonotonicMs: this.#timers.now() });
    else
      this.conclude({
        kind: "result",
        reason: "completed",
        exitCode: Number(exit ?? 0),
        detail: "",
        fuel: this.fuel,
        memoryHash: SIM_MEMORY,
        ...NO_CHECKPOINTS,
        fuelInAll: this.fuel,
        endedMonotonicMs: this.#timers.now(),
        tree: this.tree,
      });
  }

  conclude(ending: GuestEnding): void {
    if (this.#over) return;
    if (!this.paused) this.#account();
    this.#over = true;
    this.#cancel();
    this.#end(ending);
    for (const changed of this.#changed) changed();
  }

  paused = false;
  pause(): void {
    if (this.#over || this.paused) return;
    this.paused = true;
    this.#account();
    this.#cancel();
  }
  resume(): void {
    if (this.#over || !this.paused) return;
    this.paused = false;
    this.#go();
  }
  onChange(changed: () => void): void {
    this.#changed.add(changed);
  }
}

export interface SimDriver extends GuestDriver {
  /** Guests by lease: what really ran. */
  readonly ran: ReadonlyMap<string, number>;
  /** The host loses power: every guest is gone. */
  loseGuests(): void;
}

export function createSimDriver(timers: Timers): SimDriver {
  const guests = new Map<number, { guest: SimGuest; lease: string }>();
  let made = 0;

  function running(id: number): RunningGuest {
    const { guest } = guests.get(id) ?? { guest: null };
    const token: GuestToken = { id };
    if (!guest) return { ...gone(token), ended: Promise.resolve({ kind: "host-failure", detail: "its process is gone", endedMonotonicMs: timers.now() }) };
    return {
      token,
      ended: guest.ended,
      onChange: (changed) => guest.onChange(changed),
      readStream: async (stream, offset) => (stream === "stdout" ? guest.text.subarray(offset) : new Uint8Array(0)),
      readOutput: async (digest, offset, length) =>
        guest.tree.some((entry) => entry.kind === "file" && entry.digest === digest) ? guest.text.subarray(offset, offset + length) : new Uint8Array(0),
      stop: async () =>
        guest.conclude({
          kind: "result",
          reason: "stopped",
          exitCode: null,
          detail: "",
          fuel: guest.fuel,
          memoryHash: null,
          ...NO_CHECKPOINTS,
          fuelInAll: guest.fuel,
          endedMonotonicMs: timers.now(),
          tree: guest.tree,
        }),
      pause: async () => guest.pause(),
      resume: async () => guest.resume(),
      kill: async () => guest.conclude({ kind: "host-failure", detail: "its process was killed", endedMonotonicMs: timers.now() }),
      release: () => {},
      dispose: async () => {},
    };
  }

  const nothing = async (): Promise<void> => {};
  function gone(token: GuestToken): Omit<RunningGuest, "ended"> {
    const empty = async (): Promise<Uint8Array> => new Uint8Array(0);
    return {
      token,
      onChange: () => {},
      readStream: empty,
      readOutput: empty,
      stop: nothing,
      pause: nothing,
      resume: nothing,
      kill: nothing,
      release: () => {},
      dispose: nothing,
    };
  }

  return {
    engine: "sim-1",
    sandbox: { strength: "strong", why: "" },
    hasRuntime: () => false,
    monotonicMs: () => timers.now(),
    get ran() {
      return new Map([...guests.values()].map(({ guest, lease }) => [lease, guest.ranMs]));
    },
    loseGuests() {
      for (const { guest } of guests.values()) guest.conclude({ kind: "host-failure", detail: "the host went down", endedMonotonicMs: timers.now() });
    },
    async prepare(job) {
      const id = ++made;
      return {
        token: { id },
        async begin() {
          guests.set(id, { guest: new SimGuest(timers, job), lease: job.lease });
          return running(id);
        },
        discard: nothing,
      };
    },
    adopt: async (token) => running(Number(token["id"])),
    close: nothing,
  };
}
