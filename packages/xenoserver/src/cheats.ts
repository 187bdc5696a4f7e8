/**
 * Owners who cheat, each in one way, through the public protocol: everything they send is well-formed and properly signed. For
 * demonstrations (`npm start -- --cheat NAME`) and tests. Each wraps an honest driver.
 */
import type { GuestDriver, GuestEnding, GuestJob, RunningGuest } from "./drivers/driver.ts";
import { RefusedJob } from "./drivers/refused.ts";
import { reseeded } from "./drivers/wasm/reseeded.ts";

type Result = Extract<GuestEnding, { kind: "result" }>;

export interface Cheat {
  says: string;
  /** Shows best on a job so long that it is judged by a segment. */
  long?: boolean;
  prepare?(job: GuestJob): GuestJob;
  ending?(ending: Result, job: GuestJob): Result;
  stdout?(bytes: Uint8Array, offset: number): Uint8Array;
  /** What is handed out of its files. */
  output?(bytes: Uint8Array): Uint8Array;
}

const TRUNCATED_FUEL = 20_000_000n;
const INFLATION = 3n;
const MADE_UP = "42".repeat(32);

export const CHEATS: Record<string, Cheat> = {
  "wrong-output": {
    says: "runs the job, then changes one bit of what it printed",
    stdout: (bytes, offset) => (offset === 0 ? bytes.map((byte, i) => (i === 0 ? byte ^ 1 : byte)) : bytes),
  },
  "inflated-fuel": {
    says: "returns the right output and bills three times the fuel",
    ending: (ending) => ({ ...ending, fuel: ending.fuel * INFLATION }),
  },
  "inflated-fuel-at-once": {
    says: "runs nothing, and right after the opening bills all the fuel that was ordered",
    prepare: (job) => ({ ...job, fuelMax: 1n }),
    ending: (ending, { fuelMax }) => ({
      ...ending,
      reason: "completed",
      exitCode: 0,
      fuel: fuelMax,
      fuelInAll: fuelMax,
      memoryHash: MADE_UP,
    }),
  },
  "truncated-run": {
    says: "stops the job early, says that it completed, and bills as if it had",
    prepare: (job) => ({ ...job, fuelMax: TRUNCATED_FUEL }),
    ending: (ending) =>
      ending.reason === "fuel-limit" ? { ...ending, reason: "completed", exitCode: 0, fuel: ending.fuel * 100n } : ending,
  },
  "wrong-state": {
    says: "computes right up to the middle, then goes its own way, and signs states that it made up",
    long: true,
    ending: (ending) => ({
      ...ending,
      memoryHash: MADE_UP,
      roots: ending.roots?.map((root, i, all) => (i < all.length / 2 ? root : MADE_UP)) ?? null,
    }),
  },
  "other-seed": {
    says: "runs the job with another seed of randomness, and stands by every state of that run",
    prepare: (job) => ({ ...job, work: reseeded(job.work) }),
  },
  "invented-result": {
    says: "runs nothing, and invents an ending",
    prepare: (job) => ({ ...job, fuelMax: 1n }),
    ending: (ending) => ({ ...ending, reason: "completed", exitCode: 0, fuel: 1_000_000_000n, memoryHash: MADE_UP }),
  },
  "out-of-fuel": {
    says: "runs nothing, and says that the job used up all its fuel",
    prepare: (job) => ({ ...job, fuelMax: 1n }),
    ending: (ending, { fuelMax }) => ({ ...ending, reason: "fuel-limit", exitCode: null, fuel: fuelMax, fuelInAll: fuelMax }),
  },
  "out-of-memory": {
    says: "runs nothing, and says that the job used all its fuel before it wanted more memory than was ordered",
    prepare: (job) => ({ ...job, fuelMax: 1n }),
    ending: (ending, { fuelMax }) => ({
      ...ending,
      reason: "memory-limit",
      exitCode: null,
      fuel: fuelMax,
      fuelInAll: fuelMax,
      memoryHash: MADE_UP,
    }),
  },
  "withhold-bytes": {
    says: "signs the right digests, and never gives the files out",
    output: () => new Uint8Array(0),
  },
  "blame-customer": {
    says: "takes a good job, and says that it cannot be read",
    prepare: () => {
      throw new RefusedJob("this is no job that anybody could read");
    },
  },
};

function cheatingGuest(guest: RunningGuest, { ending, stdout, output }: Cheat, job: GuestJob): RunningGuest {
  return {
    ...guest,
    ended: guest.ended.then((end) => (end.kind === "result" && ending ? ending(end, job) : end)),
    readStream: async (stream, offset) => {
      const bytes = await guest.readStream(stream, offset);
      return stream === "stdout" && stdout ? stdout(bytes, offset) : bytes;
    },
    readOutput: async (digest, offset, length) => {
      const bytes = await guest.readOutput(digest, offset, length);
      return output ? output(bytes) : bytes;
    },
  };
}

/**
 * Runs its first job honestly and hands that result in for every later one, without running them. Not in CHEATS: it takes two jobs to see.
 */
export function replayingDriver(driver: GuestDriver): GuestDriver {
  let first: RunningGuest | null = null;
  return {
    ...driver,
    async prepare(job) {
      const { begin, ...prepared } = await driver.prepare(first === null ? job : { ...job, fuelMax: 1n });
      return {
        ...prepared,
        async begin() {
          const guest = await begin();
          const known = (first ??= { ...guest, dispose: async () => {} });
          return {
            ...guest,
            ended: guest.ended.then(() => known.ended),
            readStream: (stream, offset) => known.readStream(stream, offset),
            readOutput: (digest, offset, length) => known.readOutput(digest, offset, length),
            dispose: async () => {},
          };
        },
      };
    },
  };
}

export function cheatingDriver(cheat: Cheat, driver: GuestDriver): GuestDriver {
  return {
    ...driver,
    async prepare(job) {
      const { begin, ...prepared } = await driver.prepare(cheat.prepare?.(job) ?? job);
      return { ...prepared, begin: async () => cheatingGuest(await begin(), cheat, job) };
    },
  };
}
