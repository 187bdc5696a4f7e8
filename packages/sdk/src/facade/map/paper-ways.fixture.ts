/** A market of a map's tests: orders and leases are lines of a table, and a job ends when it is told to. Nothing of it is signed. */
import type { EndReason } from "@xenoservers/market";
import { refuse, toHex, utf8 } from "@xenoservers/protocol";
import { systemCrypto } from "@xenoservers/protocol/system";
import { MarketError, RefusedError } from "../../errors.ts";
import type { Job } from "../job.ts";
import type { JobResult } from "../job-result.ts";
import type { RunInput } from "../run-input.ts";
import type { JournalPlace } from "./journal.ts";
import { RunsTaken, partJob } from "./parts.ts";
import type { Followable, MapOrder, MapPlan, MapWays } from "./ways.ts";

const HEX = 64;
const idOf = (number: number): string => number.toString(16).padStart(HEX, "0");

const sha256 = (text: string): string => toHex(systemCrypto.sha256(utf8(text)));

export const digestOf = (work: string): string => Buffer.from(work).toString("hex").padStart(HEX, "0");

interface Lease {
  work: string;
  /** The batch that its hold is of; null: it has one of its own. */
  batch: string | null;
  /** Of a lease of several runs: the work of each, and what takes what they leave. */
  runs?: { works: string[]; taken: RunsTaken };
  holdNanos: bigint;
  end: PromiseWithResolvers<JobResult>;
}

/** As this machine's disk keeps it: whatever was written whole. */
export class PaperPlace implements JournalPlace {
  text: string | null = null;
  readonly results = new Map<string, string>();
  isOpen = false;
  read = async (): Promise<string | null> => this.text;
  write = async (text: string): Promise<void> => void (this.text = text);
  append = async (text: string): Promise<void> => void (this.text += text);
  readResult = async (key: string): Promise<string | null> => this.results.get(key) ?? null;
  writeResult = async (key: string, text: string): Promise<void> => void this.results.set(key, text);
  dropResult = async (key: string): Promise<void> => void this.results.delete(key);
  close = async (): Promise<void> => void (this.isOpen = false);
}

export class PaperWays implements MapWays {
  readonly owner = { origin: "paper", party: "p" };
  readonly place = new PaperPlace();
  /** By order. */
  readonly leases = new Map<string, Lease>();
  readonly ordered: string[] = [];
  readonly batches: string[] = [];
  atOnceMax = 0;
  heldMaxNanos = 0n;
  /** What a job of this work comes to as soon as it is ordered; null: nothing before it is told. */
  comesTo: (work: string) => { reason?: EndReason; exitCode?: number; dueNanos?: bigint } | null = () => ({});
  /** Whether jobs are with their servers. */
  isThere = true;
  /** In place of an answer to an order that is signed. */
  breaks: ((work: string) => Error | null) | null = null;
  /** What an order that has come to a lease waits for before it is answered. */
  answers: (() => Promise<void>) | null = null;
  /** What checking a lease's receipt waits for. */
  checks: ((order: string) => Promise<void>) | null = null;
  /** What work came to, as an earlier receipt proves. */
  earlier: (work: string) => JobResult | null = () => null;
  /** Of what kind work is that can be one lease; null: none can. */
  kind: string | null = null;
  /** How many runs of a lease are done before it ends, and as what it ends; null of the number: nobody knows. Null: all are. */
  cuts: (works: readonly string[]) => { done: number | null; reason: EndReason } | null = () => null;
  readonly warned: string[] = [];
  /** What was one lease. */
  readonly together: string[][] = [];
  #ids = 0;

  #now = 0;
  now = (): number => this.#now;
  sleep = async (ms: number): Promise<void> => {
    this.#now += ms;
    await new Promise((resolve) => setImmediate(resolve));
  };
  journal = async (): Promise<JournalPlace> => this.place;
  verify = async (): Promise<JobResult["verification"]> => ({ ok: true }) as JobResult["verification"];
  leaseOf = async (order: string): Promise<string | null> => (this.leases.has(order) ? order : null);
  dueOf = async (lease: string): Promise<bigint | null> => this.#dues.get(lease) ?? null;
  readonly #dues = new Map<string, bigint>();
  /** What nothing holds; null: more than anybody asks for. */
  accountNanos: bigint | null = null;
  openBatch = async (budgetNanos: bigint): Promise<string> => {
    this.#draw(null, budgetNanos);
    this.batches.push(`open ${budgetNanos}`);
    const id = idOf(++this.#ids);
    this.#purses.set(id, budgetNanos);
    return id;
  };
  /** What is left of each batch. */
  readonly #purses = new Map<string, bigint>();

  /** Of what is closed, or was never of a batch, it is the account's. */
  #draw(batch: string | null, nanos: bigint): void {
    const own = batch === null ? undefined : this.#purses.get(batch);
    const has = own ?? this.accountNanos;
    if (has === null) return;
    if (has < nanos) throw new RefusedError(refuse("insufficient_funds"));
    if (own !== undefined) this.#purses.set(batch!, own - nanos);
    else this.accountNanos = has - nanos;
  }
  orderTogether = async (plans: readonly MapPlan[], { batch, holdNanos, onSigned }: MapOrder): Promise<Followable[]> => {
    const works = plans.map((plan) => this.#works.get(plan)!);
    const order = idOf(++this.#ids);
    await onSigned(order);
    const broken = this.breaks?.(works.join("+"));
    if (broken) throw broken;
    this.#draw(batch, holdNanos);
    this.ordered.push(...works);
    this.together.push(works);
    const taken = new RunsTaken(works.length, new Map());
    this.leases.set(order, { work: works.join("\n"), batch, runs: { works, taken }, holdNanos, end: Promise.withResolvers<JobResult>() });
    this.#begins(order, holdNanos);
    if (works.every((work) => this.comesTo(work) !== null)) setImmediate(() => this.endAll(order));
    await this.answers?.();
    const job = this.#job(order);
    return works.map((_, index) => partJob(job, index, taken));
  };

  /** A lease of several runs ends as each of them does, or as it is cut. */
  endAll(order: string): void {
    const { runs, work, end, batch, holdNanos } = this.leases.get(order)!;
    const { works, taken } = runs!;
    const cut = this.cuts(works) ?? { done: works.length, reason: "completed" as const };
    const came = works.slice(0, cut.done ?? 0).map((each) => ({ each, ...this.comesTo(each) }));
    const list = came.map(({ each, exitCode = 0, dueNanos = 1n }) => ({
      ...{ ending: "exit" as const, exitCode, fuel: dueNanos.toString(), memoryHash: null },
      ...{ stdoutBytes: each.length + 1, stdoutDigest: sha256(`${each}\n`), stderrBytes: 0, stderrDigest: sha256("") },
    }));
    taken.ends = cut.done === null ? null : list;
    const due = list.reduce((sum, { fuel }) => sum + BigInt(fuel), 0n);
    const whole = resultOf(order, work, cut.reason, 0, due);
    if (!this.#dues.has(order)) this.#draw(batch, due - holdNanos);
    this.#dues.set(order, due);
    end.resolve({ ...whole, bill: { ...whole.bill, billableFuel: due } });
  }

  closeBatch = async (batch: string): Promise<void> => {
    this.batches.push("close");
    this.#draw(null, -(this.#purses.get(batch) ?? 0n));
    this.#purses.delete(batch);
  };

  plan = async ({ args = [], budget = 10n, out }: RunInput): Promise<MapPlan> => {
    const work = args.join(" ");
    const joins =
      this.kind === null ? null : { kind: this.kind, bytes: 1, bytesMax: 1_000, ms: 1e6, fuel: 10n ** 18n, costNanos: BigInt(budget) };
    const plan: MapPlan = {
      ...{ digest: digestOf(work), budgetNanos: BigInt(budget), account: "a", out: out ?? null, joins },
      warn: (text) => void this.warned.push(text),
      order: (how) => this.#order(work, how),
      earlier: async () => this.earlier(work),
      follow: async (lease, run) => {
        const { runs } = this.leases.get(lease)!;
        return run === null || !runs ? this.#job(lease) : partJob(this.#job(lease), run, runs.taken);
      },
    };
    this.#works.set(plan, work);
    return plan;
  };
  readonly #works = new WeakMap<MapPlan, string>();

  end(order: string, { reason = "completed", exitCode = 0, dueNanos = 1n }: NonNullable<ReturnType<PaperWays["comesTo"]>>): void {
    const { work, end, batch, holdNanos } = this.leases.get(order)!;
    if (!this.#dues.has(order)) this.#draw(batch, dueNanos - holdNanos);
    this.#dues.set(order, dueNanos);
    end.resolve(resultOf(order, work, reason, exitCode, dueNanos));
  }

  async #order(work: string, { batch, holdNanos, onSigned }: MapOrder): Promise<Job> {
    const order = idOf(++this.#ids);
    await onSigned(order);
    const broken = this.breaks?.(work);
    if (broken) throw broken;
    this.#draw(batch, holdNanos);
    this.ordered.push(work);
    this.leases.set(order, { work, batch, holdNanos, end: Promise.withResolvers<JobResult>() });
    const comes = this.comesTo(work);
    this.#begins(order, holdNanos);
    if (comes) setImmediate(() => this.end(order, comes));
    await this.answers?.();
    return this.#job(order);
  }

  #begins(order: string, holdNanos: bigint): void {
    const running = [...this.leases].filter(([id]) => this.#running.has(id));
    this.#running.add(order);
    this.atOnceMax = Math.max(this.atOnceMax, running.length + 1);
    const held = running.reduce((sum, [, lease]) => sum + lease.holdNanos, holdNanos);
    if (held > this.heldMaxNanos) this.heldMaxNanos = held;
  }

  readonly #running = new Set<string>();

  #job(order: string): Job {
    const { end } = this.leases.get(order)!;
    const off = Promise.withResolvers<never>();
    const checked = end.promise.then(async (came) => (await this.checks?.(order), came));
    const result = Promise.race([checked, off.promise]).finally(() => this.#running.delete(order));
    result.catch(() => {});
    const stop = async (): Promise<string> => (this.end(order, { reason: "customer-stop" }), "withdrawn");
    const ended = end.promise.then(({ end: { reason }, bill: { dueNanos } }) => ({
      end: { reason, billableMs: 1, billableFuel: "1", dueNanos: dueNanos.toString() },
    }));
    return { lease: order, isThere: this.isThere, result, ended, stop, detach: () => off.reject(new LetGo("let go")) } as unknown as Job;
  }
}

class LetGo extends MarketError {
  readonly code = "aborted";
}

export function resultOf(lease: string, work: string, reason: EndReason, exitCode: number, dueNanos: bigint): JobResult {
  const bytes = new TextEncoder().encode(`${work}\n`);
  return {
    ...{ lease, ok: reason === "completed" && exitCode === 0, exitCode, detail: "", delivered: "server", files: [], isCut: false },
    end: { reason, blame: "nobody", at: 0, audited: null },
    bill: { dueNanos, ownerNanos: dueNanos, feeNanos: 0n, refundNanos: 0n, billableFuel: 0n, billableMs: 0 },
    ...{ stdout: `${work}\n`, stderr: "", printed: { stdout: bytes, stderr: new Uint8Array() } },
    verification: { ok: true } as JobResult["verification"],
  };
}
