/**
 * One job on servers of several owners, as the program that ordered it sees it: a result comes only where their signed results agree, or
 * the market's referee has decided. Who controls the inputs: the servers (output, results, files), the broker (settlements, verdicts).
 */
import type { LeaseView, Payload } from "@xenoservers/protocol";
import type { ReceiptVerification } from "@xenoservers/verify";
import { AbortedError, GivenUpError } from "../errors.ts";
import type { Agreed, ReplicasRun, ReplicasWatch } from "../replicas.ts";
import type { Withdrawn } from "../withdrawn.ts";
import type { Planned } from "./here.ts";
import { collected, listed } from "./job-files.ts";
import { resultOf, type JobResult } from "./job-result.ts";
import { onAbort } from "./on-abort.ts";
import { Output } from "./output.ts";
import type { RunInput } from "./run-input.ts";

/** What `market.run` takes to run a job on several owners' servers. */
export interface ReplicasInput extends RunInput {
  /** On servers of so many different owners, drawn by the market: two or more. */
  replicas: number;
  /** Leaves a drawn audit to a later `market.audit`. */
  noAudit?: boolean;
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
  follow(watch: ReplicasWatch): ReplicasRun;
  write: Planned["write"] | null;
  check(lease: string): Promise<ReceiptVerification>;
  over(): void;
}

/** Nobody has confirmed that all is given up where one has not. */
const together = (left: readonly Withdrawn[]): Withdrawn =>
  (["unheard", "withdrawn"] as const).find((each) => left.includes(each)) ?? "over";

/** A job under way on servers of several owners. */
export class ReplicatedJob {
  /** Checked, of a replica that stands. Rejects with a MarketError, `not_compared` where none does. */
  readonly result: Promise<ReplicasResult>;
  readonly #ways: ReplicasWays;
  readonly #run: ReplicasRun;
  readonly #outputs: readonly Output[];
  readonly #off = Promise.withResolvers<never>();
  #isJudging = false;
  #undone: string | null = null;
  /** Rejects when they were given up. */
  #givingUp: Promise<never> | null = null;

  constructor(ways: ReplicasWays, count: number, { signal, onState }: Pick<RunInput, "signal" | "onState">) {
    this.#ways = ways;
    this.#off.promise.catch(() => {});
    this.#outputs = Array.from({ length: count }, () => new Output());
    this.#run = ways.follow({
      onOutput: (slot, stream, bytes) => this.#outputs[slot]?.take(stream, bytes),
      onState: (slot, state) => onState?.(`replica ${slot + 1}: ${state}`),
      onTerms: () => void (this.#isJudging = true),
      onUndone: (error) => void (this.#undone = error.message),
    });
    // what a referee judges is called off by whoever waits for it
    const giveUp = (): void => void (this.#isJudging || (this.#givingUp ??= this.#giveUp(signal?.reason)).catch(() => {}));
    const undo = signal && onAbort(signal, giveUp);
    this.result = this.#follow().finally(() => {
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

  /** Gives all of them up: their results are worth nothing one by one. */
  stop({ reason = "stopped by its customer" }: { reason?: string } = {}): Promise<Withdrawn[]> {
    return this.#run.withdraw(reason);
  }

  /** Lets go of them here: they run on, and `market.attach(lease)` follows each. The result rejects. */
  detach(): void {
    this.#off.reject(new AbortedError(new Error("they were let go of here, and run on")));
  }

  async #giveUp(reason: unknown): Promise<never> {
    const left = together(await this.stop({ reason: "its customer has called it off" }));
    this.#off.reject(new GivenUpError(this.leases.join(", "), left, reason));
    return this.#off.promise;
  }

  async #follow(): Promise<ReplicasResult> {
    const run = this.#run;
    const unlessLetGo = async <T>(doing: Promise<T>): Promise<T> => {
      doing.catch(() => {});
      const first = await Promise.race([doing, this.#off.promise]);
      // what is given up ends, too
      return this.#givingUp ?? first;
    };
    const ended = await unlessLetGo(run.settled());
    const agreed = await unlessLetGo(run.compared(ended));
    const { slot, lease, session, delivered } = await unlessLetGo(run.delivered(agreed.standing));
    const { write } = this.#ways;
    const fetch: Parameters<Planned["write"]>[1] = (file) => session.fetch(file);
    if (write) await write(delivered.tree, fetch);
    const files = write ? listed(delivered.tree) : await collected(delivered.tree, fetch);
    const output = this.#outputs[slot] ?? new Output();
    const result = resultOf({ lease, delivered, output, files, verification: await this.#ways.check(lease.id) });
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
