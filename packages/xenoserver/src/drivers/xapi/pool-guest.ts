/**
 * A lease's machine on a pool, under the contract of all guests: followed by the pool's events, found again by its uuid, and ended with
 * what it hands back. Who controls the inputs: the guest (its end, console and result disk), the pool.
 */
import { rename, rm, writeFile, readFile } from "node:fs/promises";
import path from "node:path";
import type { Duplex } from "node:stream";
import { z } from "zod";
import type { VmSpec } from "@xenoservers/protocol";
import type { GuestControls, GuestEnding, GuestToken, RunningGuest } from "../driver.ts";
import { ConsoleText, openConsole, readFrom } from "./pool-console.ts";
import { hasCrashed } from "./pool-crash.ts";
import { readResult, type Returned } from "./pool-result.ts";
import { PoolSeat } from "./pool-seat.ts";
import type { Pool } from "./pool.ts";
import type { Vm } from "./xapi-records.ts";

const MIB = 1024 * 1024;
const CONSOLE = "console";
const FILES = "files";
const ENDED = "ended.json";
const SEAT = "host.json";
/** A machine stands still for a moment as it moves or goes on from its memory; one that somebody has paused, for as long as that is. */
const STILL_MS = 10_000;
const LOOK_AGAIN_MS = 60_000;
/** Hosts are heard by their master every thirty seconds. */
const HOST_BACK_MS = 90_000;
const DIGEST = /^[0-9a-f]{64}$/;

export interface Placed {
  pool: Pool;
  /** This lease's own folder on this server. */
  folder: string;
  lease: string;
  spec: VmSpec;
  /** The machine, and the disk that it may hand something back on. */
  vm: string;
  result: { vdi: string; mib: number } | null;
  token: GuestToken;
  /** Of one that an earlier daemon began, as its guest's job has it; null where nobody knows. */
  livedUntilMs: number | null;
  now(): number;
  snapshot(): ReturnType<GuestControls["snapshot"]>;
}

/** How it ended, and when that was first seen. */
interface Last {
  word: "halted" | "crashed" | "gone" | "host-gone" | "host-fell";
  at: number;
}

type Word = Exclude<Last["word"], "crashed"> | "unheard" | "still" | "doubtful";

const zEnded = z.object({
  ending: z.custom<GuestEnding>((value) => typeof value === "object" && value !== null && "kind" in value),
  stdout: z.object({ digest: z.string().regex(DIGEST), size: z.number() }).nullable(),
});
type Ended = z.infer<typeof zEnded>;

const bigints = (_: string, value: unknown): unknown => (typeof value === "bigint" ? `${value}n` : value);
/** By their keys: a guest may call a file, and have said, what looks like one. */
const BIGINTS: readonly string[] = ["fuel", "fuelInAll"] satisfies (keyof Extract<GuestEnding, { kind: "result" }>)[];
const asBigints = (key: string, value: unknown): unknown =>
  BIGINTS.includes(key) && typeof value === "string" ? BigInt(value.replace(/n$/, "")) : value;

/** What an ended guest left, where it is all here. */
export async function endedIn(folder: string): Promise<Ended | null> {
  const text = await readFile(path.join(folder, ENDED), "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return null;
    throw error;
  });
  return text === null ? null : zEnded.parse(JSON.parse(text, asBigints));
}

type Asked = "stopped" | "killed" | "output-limit" | null;

const failed = (detail: string, endedMonotonicMs: number): GuestEnding => ({ kind: "host-failure", detail, endedMonotonicMs });

function resultOf(asked: Asked, crashed: boolean, returned: Returned, endedMonotonicMs: number): GuestEnding {
  const none = { fuel: 0n, fuelInAll: 0n, memoryHash: null, roots: null, stateRoot: null, endedMonotonicMs, detail: "" };
  const withNothing = { kind: "result" as const, ...none, exitCode: null, tree: [] };
  if (asked === "stopped" || asked === "output-limit") return { ...withNothing, reason: asked };
  if (crashed) return { ...withNothing, reason: "guest-panic" };
  if (returned.problem?.kind === "too-much") return { ...withNothing, reason: "output-limit", detail: returned.problem.why };
  const { exitCode, tree, problem } = returned;
  return { kind: "result", ...none, reason: "completed", exitCode, tree, detail: problem?.why ?? "" };
}

export class PoolGuest {
  readonly ended: Promise<GuestEnding>;
  readonly #of: Placed;
  readonly #console: ConsoleText;
  readonly #changed = new Set<() => void>();
  readonly #leaving = new AbortController();
  #end: (ending: GuestEnding) => void = () => {};
  #asked: Asked = null;
  /** By its lease. */
  #paused = false;
  #stdout: Ended["stdout"] = null;
  /** Where it runs, so that a host that has gone, or fell over, is not taken for its own end. */
  readonly #seat: PoolSeat;

  constructor(of: Placed) {
    this.#of = of;
    const { pool, vm, folder, spec } = of;
    this.ended = new Promise((resolve) => (this.#end = resolve));
    this.#seat = new PoolSeat(pool, path.join(folder, SEAT));
    this.#console = new ConsoleText(
      { pool, vm, file: path.join(folder, CONSOLE), bytesMax: spec.outputMibMax * MIB },
      { changed: () => this.#tell(), full: () => void this.#over("output-limit").catch(() => {}) },
    );
  }

  #tell(): void {
    for (const changed of this.#changed) changed();
  }

  async follow(): Promise<void> {
    await this.#seat.load();
    this.#lastWord();
    const machine = this.#machine();
    // one that ran while nobody followed it may have been begun anew by now
    if (machine && !this.#seat.isDoubtful(machine)) await this.#seat.count(machine, this.#begins);
    await this.#seat.settled();
    await this.#console.follow();
    void this.#watch();
  }

  async #watch(): Promise<void> {
    try {
      await this.#conclude(await this.#last());
    } catch (error) {
      if (!this.#leaving.signal.aborted) this.#finish(failed((error as Error).message, this.#of.now()), null);
    }
  }

  /** Once it is certain. */
  async #last(): Promise<Last> {
    const { pool, now, livedUntilMs } = this.#of;
    const found = this.#lastWord();
    // when one ended that is found so is not known: it is what was claimed before
    let claimedMs = found === null || found === "unheard" || found === "doubtful" ? null : livedUntilMs;
    for (;;) {
      const word = await pool.mirror.until(() => this.#lastWord(), this.#leaving.signal);
      const at = Math.min(now(), claimedMs ?? Infinity);
      if (word === "unheard") {
        if (!(await this.#changes(word, HOST_BACK_MS))) return { word: "host-gone", at };
      } else if (word === "doubtful") {
        if (!(await this.#changes(word, HOST_BACK_MS)) && (await this.#isAnew())) return { word: "host-fell", at };
      } else if (word === "still") {
        // what cannot be asked now is asked again
        const crashed = (): Promise<boolean> => hasCrashed(pool, this.#of.vm).catch(() => false);
        if (!(await this.#changes(word, STILL_MS)) && (await crashed())) return { word: "crashed", at };
        if (await this.#changes(word, LOOK_AGAIN_MS)) claimedMs = null;
      } else return { word, at };
    }
  }

  /** Whether it is something else within that time. A master that begins anew takes hosts for dead until it hears them. */
  async #changes(word: Word, withinMs: number): Promise<boolean> {
    const { mirror, wait } = this.#of.pool;
    const waited = new AbortController();
    const changed = mirror
      .until(() => (this.#lastWord() === word ? null : true), AbortSignal.any([waited.signal, this.#leaving.signal]))
      // who leaves meanwhile knows nothing of its end
      .catch((error: unknown) => {
        if (waited.signal.aborted) return false;
        throw error;
      });
    try {
      return await Promise.race([changed, wait(withinMs).then(() => false)]);
    } finally {
      waited.abort();
    }
  }

  #machine(): Vm | undefined {
    return this.#of.pool.mirror.of("vm").get(this.#of.vm);
  }

  /** How often this server starts it; one that goes on from its memory is resumed. */
  get #begins(): number {
    return this.#of.spec.vm.kind === "snapshot" ? 0 : 1;
  }

  /** Of a machine that runs where it was not, or whose host has booted: whether it has lost what it was doing. What goes on is followed. */
  async #isAnew(): Promise<boolean> {
    const machine = this.#machine();
    if (!machine) return false;
    const isAnew = await this.#seat.isAnew(machine, this.#begins).catch(() => null);
    if (isAnew === null) await this.#of.pool.wait(LOOK_AGAIN_MS);
    // a host that still comes up has not said yet which machines it has lost; it does before it is in service, maybe just now
    const now = this.#machine();
    if (isAnew === false && now?.power_state === "Running" && this.#seat.isInService(now)) this.#seat.accept(now);
    return isAnew === true;
  }

  /** Null while it goes on. */
  #lastWord(): Word | null {
    const machine = this.#machine();
    if (!machine) return "gone";
    this.#seat.see(machine);
    // a host that fell over has no machine any more, be it that the pool does not know yet
    if (this.#seat.hasBooted() && machine.power_state === "Halted") return "host-fell";
    if (this.#seat.isDoubtful(machine)) return "doubtful";
    const isLive = this.#seat.isLive();
    if (isLive && machine.power_state === "Paused" && !this.#paused) return "still";
    if (isLive) return machine.power_state === "Halted" ? "halted" : null;
    return machine.power_state === "Halted" || this.#seat.host() === undefined ? "host-gone" : "unheard";
  }

  async #conclude({ word: last, at }: Last): Promise<void> {
    const { pool, result, folder } = this.#of;
    await this.#console.close(last === "halted");
    if (this.#asked === "killed") return this.#finish(failed("the machine was ended", at), null);
    if (last === "gone") return this.#finish(failed("the pool has the machine no more", at), null);
    if (last === "host-gone") return this.#finish(failed("the host that ran the machine has left the pool", at), null);
    const crashed = last === "crashed";
    // one that was begun anew has its disk in use, and what it writes there is of another run
    const isAnew = last === "host-fell" && this.#machine()?.power_state !== "Halted";
    const returned: Returned =
      result === null || this.#asked !== null || crashed || isAnew
        ? { exitCode: 0, tree: [], stdout: null, problem: null, isSaid: false }
        : await readResult(pool, result.vdi, result.mib, path.join(folder, FILES));
    // one that had handed back what it made had ended before its host did
    if (last === "host-fell" && !returned.isSaid)
      return this.#finish(failed("the host that ran the machine was booted anew, and its machines with it", at), null);
    const ending = resultOf(this.#asked, crashed, returned, at);
    this.#finish(ending, returned.stdout && (await this.#goesOn(returned.stdout.digest)) ? returned.stdout : null);
  }

  /** Whether what was handed back begins with all that the console has shown: then it is shown whole, and else the console's text stays. */
  async #goesOn(digest: string): Promise<boolean> {
    const [shown, whole] = [path.join(this.#of.folder, CONSOLE), path.join(this.#of.folder, FILES, digest)];
    for (let at = 0; ;) {
      const text = await readFrom(shown, at);
      if (text.length === 0) return true;
      if (Buffer.compare(text, await readFrom(whole, at, text.length)) !== 0) return false;
      at += text.length;
    }
  }

  #finish(ending: GuestEnding, stdout: Ended["stdout"]): void {
    this.#stdout = stdout;
    const file = path.join(this.#of.folder, ENDED);
    const part = `${file}.part`;
    void writeFile(part, JSON.stringify({ ending, stdout }, bigints), { mode: 0o600 })
      .then(() => rename(part, file))
      .catch(() => {}) // adopted again, it is concluded again
      .then(() => {
        this.#end(ending);
        this.#tell();
        return this.#leavePool();
      });
  }

  /** All that may be asked of it is here: its room in the pool is another lease's. What cannot be removed now goes with the rest of it. */
  async #leavePool(): Promise<void> {
    await this.#of.pool.removeLease(this.#of.lease).catch(() => {});
  }

  /** Ended before this daemon came. */
  found({ ending, stdout }: Ended): void {
    this.#stdout = stdout;
    this.#end(ending);
    void this.#leavePool();
  }

  async #over(asked: Exclude<Asked, null>): Promise<void> {
    this.#asked ??= asked;
    const { pool, vm } = this.#of;
    await pool.bring(vm, ["Halted"], "VM.hard_shutdown");
  }

  async #stop(withinMs: number): Promise<void> {
    const { pool, vm } = this.#of;
    this.#asked ??= "stopped";
    const machine = pool.mirror.of("vm").get(vm);
    if (withinMs > 0 && machine?.allowed_operations.includes("clean_shutdown") === true) {
      const asked = pool.mirror.run("VM.clean_shutdown", vm).catch(() => {}); // one that will not is ended
      await Promise.race([asked, this.ended, pool.wait(withinMs)]);
    }
    await this.#over("stopped");
  }

  async #pause(): Promise<void> {
    const { pool, vm } = this.#of;
    this.#paused = true;
    try {
      await pool.bring(vm, ["Paused"], "VM.pause");
    } catch (error) {
      this.#paused = false;
      throw error;
    }
  }

  async #resume(): Promise<void> {
    const { pool, vm } = this.#of;
    await pool.bring(vm, ["Running"], "VM.unpause");
    await pool.mirror.until(() => (pool.mirror.of("vm").get(vm)?.power_state === "Paused" ? null : true), this.#leaving.signal);
    this.#paused = false;
  }

  async #readStream(stream: "stdout" | "stderr", offset: number): Promise<Uint8Array> {
    if (stream === "stderr") return new Uint8Array(0);
    if (this.#stdout) return this.#readOutput(this.#stdout.digest, offset, this.#stdout.size - offset);
    return readFrom(path.join(this.#of.folder, CONSOLE), offset);
  }

  async #readOutput(digest: string, offset: number, length: number): Promise<Uint8Array> {
    if (!DIGEST.test(digest) || length <= 0) return new Uint8Array(0);
    return readFrom(path.join(this.#of.folder, FILES, digest), offset, length);
  }

  async #dispose(): Promise<void> {
    const { pool, lease, folder } = this.#of;
    this.#leaving.abort();
    await this.#console.close(false);
    await pool.removeLease(lease);
    await rm(folder, { recursive: true, force: true });
  }

  running(): RunningGuest {
    const { token } = this.#of;
    return {
      token,
      ended: this.ended,
      onChange: (changed) => void this.#changed.add(changed),
      readStream: (stream, offset) => this.#readStream(stream, offset),
      readOutput: (digest, offset, length) => this.#readOutput(digest, offset, length),
      stop: (withinMs) => this.#stop(withinMs),
      pause: () => this.#pause(),
      resume: () => this.#resume(),
      kill: () => this.#over("killed"),
      release: () => {
        this.#leaving.abort();
        void this.#console.close(false);
      },
      dispose: () => this.#dispose(),
      controls: this.#controls(),
    };
  }

  #controls(): GuestControls {
    const { pool, vm, spec, snapshot } = this.#of;
    const none = (what: string) => (): Promise<never> => Promise.reject(new Error(`a machine on a pool of hosts has no ${what}`));
    return {
      input: (bytes) => this.#console.write(bytes),
      stdin: null,
      resize: () => {},
      open: none("network: nothing can be connected to in it"),
      shell: none("shell of ours: use its console (xeno attach)"),
      screen: (): Promise<Duplex> =>
        spec.screen === true ? openConsole(pool, vm, "rfb") : Promise.reject(new Error("the machine was ordered without a screen")),
      agent: none("agent that is asked from outside"),
      reboot: async () => void (await pool.mirror.run("VM.hard_reboot", vm)),
      snapshot,
    };
  }
}

/** Whether the pool has it: by the uuid that its token names. */
export async function vmOf(pool: Pool, uuid: string): Promise<[ref: string, vm: Vm] | null> {
  return (await pool.vms()).find(([, vm]) => vm.uuid === uuid && pool.isOwn(vm)) ?? null;
}
