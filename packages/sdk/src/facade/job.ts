/**
 * A job that was ordered, as the program that ordered it sees it: its output while it comes, its result when all is settled and checked.
 * Who controls the inputs: the server (output, result, files), the broker (settlement, receipt).
 */
import { TERMS } from "@xenoservers/market";
import type { LeaseView, Payload } from "@xenoservers/protocol";
import type { ReceiptVerification } from "@xenoservers/verify";
import { AbortedError, GivenUpError, MarketError, NotStartedError, StalledError } from "../errors.ts";
import { drawnAudit, type Audit } from "../audits.ts";
import type { WindowSize } from "../guest/window-size.ts";
import type { Delivered } from "../session/result.ts";
import type { LeaseSession, SessionHandlers } from "../session/lease-session.ts";
import type { Withdrawn } from "../withdrawn.ts";
import { unlessOff } from "../calling-off.ts";
import { collected, listed, type JobFile } from "./job-files.ts";
import { HeldFiles, type keptRunText } from "./kept-run.ts";
import { onAbort } from "../on-abort.ts";
import type { Planned } from "./here.ts";
import { Output } from "./output.ts";
import { resultOf, type JobResult } from "./job-result.ts";
import type { Watching } from "./run-input.ts";
import type { Opened } from "./shared-link.ts";

/** What came of a job, every byte. */
export type Came = Pick<Parameters<typeof keptRunText>[1], "delivered" | "printed" | "held">;

/** What a job needs of its market. */
interface JobWays {
  open(handlers: SessionHandlers): Opened;
  /** Takes what comes back; null: the program wants it. */
  write: Planned["write"] | null;
  /** Keeps what it came to, where it ended well and all of it is here, for work that is the same (`reuse`). */
  keep(lease: string, came: Came): Promise<void>;
  /** Fetches, keeps and checks its receipt. */
  check(lease: string): Promise<ReceiptVerification>;
  /** Has a drawn result run again by the referee. */
  audit(drawn: Audit, lease: string, order: Payload<"order">, signal: AbortSignal | undefined): Promise<Audit>;
  /** Of how many jobs it holds what they print: for each as much as for one. */
  printedTimes: number;
  /** Called when nothing more is to come of it. */
  over(): void;
}

interface StopOptions {
  /** Signed with the stop: whoever reads the receipt reads it. */
  reason?: string;
  /** Called off, the answer is not waited for; the stop may be on its way. */
  signal?: AbortSignal;
}

/** What a server says once it needs nothing more of this side. */
const THERE = ["preparing", "running", "ended"];

/** A job under way. */
export class Job {
  /** What it prints: `for await (const { text } of job.output)`. */
  readonly output: Output;
  /** All of it, checked. Rejects with a MarketError. */
  readonly result: Promise<JobResult>;
  readonly #ways: JobWays;
  readonly #opened: Opened;
  readonly #off = Promise.withResolvers<never>();
  readonly #running = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<LeaseView>();
  readonly #delivered = Promise.withResolvers<Delivered | null>();
  readonly #shown = Promise.withResolvers<void>();
  readonly #held = new HeldFiles();
  #files: readonly JobFile[] = [];
  #isThere = false;
  #isStopped = false;
  /** Rejects when it was given up. */
  #givingUp: Promise<never> | null = null;

  constructor(ways: JobWays, { signal, onState, onSent, onInput }: Watching) {
    this.#ways = ways;
    this.output = new Output(ways.printedTimes);
    this.#off.promise.catch(() => {});
    for (const { promise } of [this.#running, this.#ended, this.#delivered, this.#shown]) promise.catch(() => {});
    this.#opened = ways.open({
      onOutput: (stream, bytes) => this.output.take(stream, bytes),
      onMoved: () => this.#moved(),
      onResult: (delivered, session) => this.#take(delivered, session),
      onState: (state) => {
        this.#stands(state);
        onState?.(state);
      },
      onShown: () => this.#shown.resolve(),
      ...{ onSent, onInput },
    });
    const giveUp = (): void => void (this.#givingUp ??= this.#giveUp(signal?.reason)).catch(() => {});
    const undo = signal && onAbort(signal, giveUp);
    this.result = this.#follow().finally(() => {
      undo?.();
      this.#close();
    });
    // whoever does not wait for the result is not ended by it
    this.result.catch((error: unknown) => {
      for (const each of [this.#running, this.#ended, this.#delivered, this.#shown]) each.reject(error);
    });
    if (signal?.aborted) giveUp();
  }

  /** Its lease; another where the order was placed again. */
  get lease(): string {
    return this.#opened.session.lease;
  }

  /** Resolves when it runs, or has; rejects where it never will. */
  get running(): Promise<void> {
    return this.#running.promise;
  }

  /** Whether all of it is with its server: then it runs without this program, too. */
  get isThere(): boolean {
    return this.#isThere;
  }

  /**
   * Resolves when its lease is over in the books and what it left is here: what is left is to check its receipt. The lease has no `end`
   * where no server took it. Rejects where nobody knows how it ended.
   */
  get ended(): Promise<LeaseView> {
    return this.#ended.promise;
  }

  /**
   * Resolves with what was handed in and is what its server signed, once it is here and the lease is over; null where the lease ended
   * without. Rejects as `ended` does.
   */
  get delivered(): Promise<Delivered | null> {
    return this.#delivered.promise;
  }

  /** Resolves when what it had printed before it was followed has all come, or it is over. */
  get shown(): Promise<void> {
    return this.#shown.promise;
  }

  /** Ends it: what it wrote until then is its result. An order that nobody has taken yet is withdrawn. */
  stop({ reason = "stopped by its customer", signal }: StopOptions = {}): Promise<Withdrawn> {
    this.#isStopped = true;
    return unlessOff(signal, this.#opened.session.withdraw(reason));
  }

  /** Of an image with a terminal: how large it is from now on. */
  resize(size: WindowSize): Promise<void> {
    return this.#opened.session.machine.resize(size);
  }

  /**
   * What became of the draw whether its result is audited, once it has ended: where it was drawn the market's referee runs the job again,
   * for the budget of its order. Null where its result cannot be audited.
   */
  async audit({ signal }: Pick<StopOptions, "signal"> = {}): Promise<Audit | null> {
    const { session } = this.#opened;
    const drawn = drawnAudit(await unlessOff(signal, this.#ended.promise));
    return drawn?.drawn ? this.#ways.audit(drawn, this.lease, session.bound.order.payload, signal) : drawn;
  }

  /** Lets go of it here: it runs on, and `market.attach(lease)` follows it again. Its result rejects. */
  detach(): void {
    this.#off.reject(new AbortedError(new Error("it was let go of here, and runs on")));
  }

  async #giveUp(reason: unknown): Promise<never> {
    this.#off.reject(new GivenUpError(this.lease, await this.stop({ reason: "its customer has called it off" }), reason));
    return this.#off.promise;
  }

  async #take(delivered: Delivered, session: LeaseSession): Promise<void> {
    const { write } = this.#ways;
    const fetch = this.#held.holding((file) => session.fetch(file));
    if (write) await write(delivered.tree, fetch);
    this.#files = write ? listed(delivered.tree) : await collected(delivered.tree, fetch);
  }

  /** Another server has nothing of it yet. */
  #moved(): void {
    this.#isThere = false;
    this.#files = [];
    this.output.restart();
  }

  #stands(state: string): void {
    if (THERE.includes(state)) this.#isThere = true;
    if (state === "running" || state === "ended") this.#running.resolve();
  }

  #close(): void {
    this.#opened.close();
    this.output.end();
    this.#ways.over();
  }

  async #follow(): Promise<JobResult> {
    const { session } = this.#opened;
    const ended = Promise.all([this.#settled(session), this.#handedIn(session)]);
    const first = await Promise.race([ended, session.failed, this.#off.promise]);
    // what is given up ends, too
    if (this.#givingUp) return this.#givingUp;
    if (first instanceof Error) throw neverStarted(first, session);
    const [lease, delivered] = first;
    this.output.end();
    this.#shown.resolve();
    this.#delivered.resolve(delivered);
    this.#ended.resolve(lease);
    if (lease.end !== null && TERMS[lease.end.reason].ran) this.#running.resolve();
    else this.#running.reject(new NotStartedError(`it never ran: ${lease.end?.reason ?? lease.state}`, { left: "over" }));
    const verification = await this.#ways.check(lease.id);
    const { output } = this;
    const result = resultOf({ lease, delivered, output, files: this.#files, verification, isStopped: this.#isStopped });
    const { printed } = result;
    if (result.ok && delivered && !result.isCut) await this.#ways.keep(lease.id, { delivered, printed, held: this.#held });
    return result;
  }

  async #settled(session: LeaseSession): Promise<LeaseView> {
    return session.settled().catch((cause: unknown) => {
      throw new StalledError(cause instanceof Error ? cause.message : String(cause), { cause });
    });
  }

  /** What this side cannot take nobody waits for any more. */
  async #handedIn(session: LeaseSession): Promise<Delivered | null> {
    try {
      return await session.delivered();
    } catch (cause) {
      if (cause instanceof MarketError) throw cause;
      throw new GivenUpError(this.lease, await this.stop({ reason: "its customer cannot take the result" }), cause);
    }
  }
}

function neverStarted(error: Error, { left, lease }: LeaseSession): Error {
  if (error instanceof MarketError) return error;
  if (left === "unheard") return new GivenUpError(lease, left, error);
  return new NotStartedError(error.message, { cause: error, left });
}
