/** A market as this machine's customer knows it: by a context of `xeno login`, or by a token. */
import { beyond as all, type Beyond } from "../facade/all-beyond.ts";
import { unlessOff } from "../calling-off.ts";
import { OpenMarket, type Callable, type Found, type SearchOptions } from "../facade/market.ts";
import type { Dispute, DisputeOptions } from "../facade/doubting.ts";
import type { ReceiptProgress } from "../facade/long-receipt.ts";
import type { MarketClient } from "../client.ts";
import type { Here } from "../facade/here.ts";
import { InputError } from "../errors.ts";
import { checkedReceipts, type CheckedReceipt } from "./archive/checked.ts";
import { appeal, type Appeal, type AppealOptions } from "./appeal.ts";
import { holdMachine } from "../machine/hold.ts";
import { Machine } from "./machine/machine.ts";
import { clientOf, currentContext, type Known } from "./contexts.ts";
import { exportTo, type Exported, type ExportOptions } from "./export.ts";
import { hereWith } from "./here.ts";
import { Keys } from "./keys.ts";
import { LastWills, alsoOfEarlier } from "./last-wills.ts";
import { readKeptJob } from "./kept-job.ts";
import { plainCheck, type ModuleCheck } from "../module-check.ts";
import { assertRuntime } from "./runtime.ts";
import { rerun as runAgain, type JobTracer, type Rerun } from "./rerun.ts";
import type { Witness } from "@xenoservers/protocol";
import type { ReceiptVerification } from "@xenoservers/verify";

/** How a market is found and as whom; nothing: as the `xeno` command would. */
export interface ConnectOptions {
  /** The name of a context of `xeno login`; absent: XENO_CONTEXT, or the one that was used last. */
  context?: string;
  /** A token of `xeno token create`, in place of a context; absent: XENO_TOKEN. */
  token?: string;
  /** Looks at WebAssembly modules before they are sent; absent: what V8 says of them. */
  moduleCheck?: ModuleCheck;
  /** What it does beyond one lease at a time, as a page has to say; absent: all of it. */
  beyond?: Beyond;
  /**
   * What is ordered here is stopped once this program is gone, however it went: the broker misses it for a minute. `close` lets go of it in
   * the same way. Absent: false.
   */
  stopOnExit?: boolean;
  /** Told what could not be kept on this machine; absent: a warning of the process. */
  onWarning?(text: string): void;
  signal?: AbortSignal;
}

interface ClientOptions extends Pick<ConnectOptions, "moduleCheck" | "beyond"> {
  known?: Known | null;
}

/** How a receipt is checked. */
export interface VerifyOptions extends Callable {
  /** Runs the job again on this machine, by an engine that is handed in, and compares: what the server signed is then proved, or failed. */
  rerun?: Rerun;
  /** How far the fetch of a receipt is that is too long for one answer of the broker. */
  onProgress?(progress: ReceiptProgress): void;
}

/** How a result is disputed from a machine that can run jobs itself. */
export interface TracedDispute extends DisputeOptions {
  /** Finds the job's states here: a long job of one server then costs a referee's run of one part of it. */
  trace?: JobTracer;
}

/** The market: `const market = await Market.connect()`. */
export class Market extends OpenMarket {
  /** The party's keys: its root key is rotated and backed up where it is kept. */
  readonly keys: Keys;
  #wills: LastWills | null = null;

  constructor(client: MarketClient, here: Here, beyond: Beyond, witnesses: readonly Witness[] = [], known: Known | null = null) {
    super(client, here, beyond, witnesses);
    this.keys = new Keys({ client, assertMay: (...needs) => this.assertMay(...needs) }, this.tokens, known);
  }

  /** Reads who the customer is, and that the market shows the keys that were pinned; throws ContextError, and InputError before Node 22. */
  static async connect({ context, token, onWarning, signal, stopOnExit = false, ...means }: ConnectOptions = {}): Promise<Market> {
    assertRuntime();
    const asked = { ...(context === undefined ? {} : { context }), ...(token === undefined ? {} : { token }) };
    const known = await unlessOff(signal, currentContext(asked));
    const client = clientOf(known.context, onWarning ?? ((text) => process.emitWarning(text, "XenoWarning")));
    await unlessOff(signal, client.market());
    const { moduleCheck = plainCheck, beyond = all } = means;
    const wills = stopOnExit ? LastWills.of(client) : null;
    const own = wills ? alsoOfEarlier(beyond, wills) : beyond;
    const market = new Market(client, hereWith(moduleCheck), own, known.context.witnesses, known);
    market.#wills = wills;
    return market;
  }

  /** Lets go of everything that is followed: leases run on, or are stopped a minute later where it was connected with `stopOnExit`. */
  override close(): void {
    super.close();
    this.#wills?.leave();
  }

  /** The same by a client that is there already; `known`: the context that it speaks for. Throws InputError before Node 22. */
  static of(client: MarketClient, { moduleCheck = plainCheck, beyond = all, known = null }: ClientOptions = {}): Market {
    assertRuntime();
    return new Market(client, hereWith(moduleCheck), beyond, [], known);
  }

  /** Servers on offer: `market.search("cpu>=2 mem>=4G region=eu")`. */
  override search(conditions = "", options: SearchOptions = {}): Promise<Found> {
    if (typeof conditions !== "string") return Promise.reject(new InputError('conditions are a text: "cpu>=2 mem>=4G"'));
    return super.search(conditions, options);
  }

  /**
   * Checks a receipt line by line: one that is handed in, a file, or that of a lease, which is fetched and kept. It holds where `ok` is
   * true; each line says whether it is proved or one party's word.
   */
  override async verify(receipt: unknown, { rerun, onProgress, signal }: VerifyOptions = {}): Promise<ReceiptVerification> {
    const found = await this.found(receipt, signal, { onProgress, signal });
    const reExecuted = rerun ? await unlessOff(signal, runAgain(this.client.pins, found, rerun)) : null;
    return unlessOff(signal, this.verified(found, reExecuted ? { reExecuted } : {}, signal));
  }

  /**
   * Checks a file of the market's archive, receipt by receipt: `for await (const { lease, ok, failed } of market.verifyArchive(file))`.
   * Throws InputError, after what could be read of it, where the file is not whole.
   */
  async *verifyArchive(file: string, { signal }: Callable = {}): AsyncGenerator<CheckedReceipt, void> {
    const receipts = checkedReceipts(file, this.client.pins, this.witnesses);
    try {
      for (;;) {
        const { done, value } = await unlessOff(signal, receipts.next());
        if (done) return;
        yield value;
      }
    } finally {
      // a file that does not go on holds nobody up
      receipts.return().catch(() => {});
    }
  }

  /** Has a doubted result judged by the market's referee, which runs the job, or the part of it where states part. */
  override async dispute(lease: string, { trace, ...options }: TracedDispute = {}): Promise<Dispute> {
    if (!trace) return super.dispute(lease, options);
    return this.disputed(lease, options, async (jobHash) => {
      const kept = await readKeptJob(jobHash);
      return (step, upTo) => trace(kept, step, upTo);
    });
  }

  /**
   * Writes everything that the market knows of the party to a folder: party, accounts, statement, leases with their receipts, however many
   * there are, and last the log's checkpoint. What a file held before is gone. Throws `unavailable` where the broker cannot read all of it.
   */
  async export(folder: string, options: ExportOptions = {}): Promise<Exported> {
    this.assertMay("read");
    return exportTo(folder, this.client, options);
  }

  /**
   * For the owner of a lease that was convicted: has a second referee, drawn as the first was, run what the first one ran. Where it comes
   * to the owner's result, the verdict is undone. Costs the second referee's run.
   */
  async appeal(lease: string, options: AppealOptions): Promise<Appeal> {
    this.assertMay("dispute", "spend", "read");
    return appeal(this.client, lease, options);
  }

  /** The hands on a machine or image that runs: programs, files, ports, snapshots. Let go of it with `close`. */
  async machine(lease: string, { signal }: Callable = {}): Promise<Machine> {
    const bound = await this.bound(lease, signal);
    const view = await this.lease(bound.po.id, signal ? { signal } : {});
    const { held, close } = holdMachine(this.client, view, bound, (handlers, from) => this.open(bound, null, handlers, from));
    return new Machine(held, close);
  }
}
