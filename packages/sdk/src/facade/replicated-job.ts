/**
 * One job on servers of several owners, as the program that ordered it sees it: a result comes only where their signed results agree, or
 * the market's referee has decided. Who controls the inputs: the servers (output, results, files), the broker (settlements, verdicts).
 */
import type { LeaseView, Payload } from "@xenoservers/protocol";
import type { ReceiptVerification } from "@xenoservers/verify";
import { AbortedError, ReplicasGivenUpError } from "../errors.ts";
import type { Agreed, ReplicasRun, ReplicasWatch } from "../replicas.ts";
import type { Withdrawn } from "../withdrawn.ts";
import type { Planned } from "./here.ts";
import { collected, listed } from "./job-files.ts";
import { resultOf, type JobResult } from "./job-result.ts";
import { onAbort } from "../on-abort.ts";
import { Output } from "./output.ts";
import type { RunInput, Watching } from "./run-input.ts";

/** What `market.run` takes to run a job on several owners' servers. */
export interface ReplicasInput extends RunInput {
  /** On servers of so many different owners, drawn by the market: two or more. */
  replicas: number;
  /** Leaves a drawn audit to a later `market.audit`. */
  noAudit?: boolean;
}

/** What is told of replicas while they run, and how they are called off. */
export interface ReplicasWatching
  extends Pick<Watching, "signal" | "onState" | "receiptWaitMs" | "onReceipt">, Pick<ReplicasInput, "noAudit"> {
  /** Told of each by its number, and of what their results say of each other. */
  watch?: ReplicasWatch;
}

/** One of several leases of the same job. */
export interface Replica {
  lease: string;
  /** What is paid for it, before a verdict gives it back. */
  dueNanos: bigint;
  /** Whether its result is the one to go by. */
  stands: boolean;
  /** The referee's, that its result is wrong; null where it says the same, or was not asked. */
  verdict: Payload<"verdict"> | null;
}

/** What they came to: the result of one that stands, and what became of each. */
export interface ReplicasResult extends JobResult {
  replicas: readonly Replica[];
  /** In words, where what they signed differs; null: all agreed. */
  difference: string | null;
  /** Why a drawn audit was not done; null where it was, or none was due. */
  undone: string | null;
}

/** What replicas need of their market. */
interface ReplicasWays {
  /** `signal`: nothing is judged any more. */
  follow(watch: ReplicasWatch, signal: AbortSignal): ReplicasRun;
  write: Planned["write"] | null;
  check(lease: string): Promise<ReceiptVerification>;
  over(): void;
}

/** A job under way on servers of several owners. */
export class ReplicatedJob {
  /** Checked, of a replica that stands. Rejects with a MarketError, `not_compared` where none does. */
  readonly result: Promise<ReplicasResult>;
  readonly #ways: ReplicasWays;
  readonly #run: ReplicasRun;
  readonly #outputs: readonly Output[];
  readonly #off = Promise.withResolvers<never>();
  /** Given by whoever calls them off or lets go of them: nobody waits for a referee any more. */
  readonly #unjudged = new AbortController();
  #isJudging = false;
  #undone: string | null = null;
  /** Rejects when they were given up. */
  #givingUp: Promise<never> | null = null;

  constructor(ways: ReplicasWays, count: number, { signal, onState, watch: own = {} }: ReplicasWatching) {
    this.#ways = ways;
    this.#off.promise.catch(() => {});
    this.#outputs = Array.from({ length: count }, () => new Output());
    this.#run = ways.follow(this.#watching(own, onState), this.#unjudged.signal);
    const giveUp = (): void => {
      this.#unjudged.abort(signal?.reason);
      // what a referee judges is over, and ends with the wait for it
      if (!this.#isJudging) (this.#givingUp ??= this.#giveUp(signal?.reason)).catch(() => {});
    };
    const undo = signal && onAbort(signal, giveUp);
    this.result = this.#follow(signal).finally(() => {
      undo?.();
      this.#run.close();
      ways.over();
    });
    // whoever does not wait for the result is not ended by it
    this.result.catch(() => {});
    if (signal?.aborted) giveUp();
  }

  /** One for each owner; another where its order was placed again. */
  get leases(): readonly string[] {
    return this.#run.sessions.map(({ lease }) => lease);
  }

  /** The server of each. */
  get servers(): readonly string[] {
    return this.#run.sessions.map(({ bound }) => bound.po.payload.server);
  }

  /** Gives all of them up: their results are worth nothing one by one. */
  stop({ reason = "stopped by its customer" }: { reason?: string } = {}): Promise<Withdrawn[]> {
    return this.#run.withdraw(reason);
  }

  /** Lets go of them here: they run on, and `market.attach(lease)` follows each. The result rejects. */
  detach(): void {
    const reason = new Error("they were let go of here, and run on");
    this.#unjudged.abort(reason);
    if (!this.#isJudging) this.#off.reject(new AbortedError(reason));
  }

  /** What the program is told, and what is noted here of it. */
  #watching(own: ReplicasWatch, onState: Watching["onState"]): ReplicasWatch {
    return {
      ...own,
      onOutput: async (slot, stream, bytes) => {
        await this.#outputs[slot]?.take(stream, bytes);
        await own.onOutput?.(slot, stream, bytes);
      },
      onMoved: (slot) => {
        this.#outputs[slot]?.restart();
        own.onMoved?.(slot);
      },
      onState: (slot, state) => {
        onState?.(`replica ${slot + 1}: ${state}`);
        own.onState?.(slot, state);
      },
      onTerms: (terms) => {
        own.onTerms?.(terms);
        this.#isJudging = true;
      },
      onJudged: (judged) => {
        this.#isJudging = false;
        own.onJudged?.(judged);
      },
      onUndone: (error) => {
        [this.#isJudging, this.#undone] = [false, error.message];
        own.onUndone?.(error);
      },
    };
  }

  async #giveUp(reason: unknown): Promise<never> {
    const left = await this.stop({ reason: "its customer has called it off" });
    return this.#givenUp((slot) => left[slot] ?? "unheard", reason);
  }

  #givenUp(left: (slot: number) => Withdrawn, reason: unknown): Promise<never> {
    this.#off.reject(new ReplicasGivenUpError(new Map(this.leases.map((lease, slot) => [lease, left(slot)])), reason));
    return this.#off.promise;
  }

  async #follow(signal: AbortSignal | undefined): Promise<ReplicasResult> {
    const run = this.#run;
    const unlessLetGo = async <T>(doing: Promise<T>): Promise<T> => {
      doing.catch(() => {});
      const first = await Promise.race([doing, this.#off.promise]);
      // what is given up ends, too
      return this.#givingUp ?? first;
    };
    const ended = await unlessLetGo(run.settled());
    const agreed = await unlessLetGo(run.compared(ended)).catch((error: unknown) => {
      // nothing was put down yet; that they ran costs what it costs
      if (error instanceof AbortedError && signal?.aborted) return this.#givenUp(() => "over", signal.reason);
      throw error;
    });
    const { slot, lease, delivered, fetch } = await unlessLetGo(run.delivered(agreed.standing));
    const { write } = this.#ways;
    if (write) await unlessLetGo(write(delivered.tree, fetch));
    const files = write ? listed(delivered.tree) : await unlessLetGo(collected(delivered.tree, fetch));
    const output = this.#outputs[slot] ?? new Output();
    const result = resultOf({ lease, delivered, output, files, verification: await this.#ways.check(lease.id), isStopped: false });
    return { ...result, replicas: replicasOf(ended, agreed), difference: agreed.difference, undone: this.#undone };
  }
}

const replicasOf = (ended: readonly LeaseView[], { standing, verdicts }: Agreed): Replica[] =>
  ended.map(({ id, end }) => ({
    lease: id,
    dueNanos: BigInt(end?.dueNanos ?? 0),
    stands: standing.some(({ lease }) => lease.id === id),
    verdict: verdicts.get(id) ?? null,
  }));
