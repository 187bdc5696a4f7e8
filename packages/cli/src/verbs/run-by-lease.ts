/** A run on the market: quote, order, send, follow, fetch, pay. */
import { USUAL_PROCESS, processOf } from "@xenoservers/protocol";
import { LastWills, home, shortId, untilEndedWell, type Job, type Watching, type Work } from "@xenoservers/sdk";
import { openClient } from "../input/client.ts";
import { stopsOnExit } from "../input/on-exit.ts";
import type { RunInput } from "../input/verbs/run.ts";
import { joinedHere, type Joined } from "../machine/joined.ts";
import { cameTo, type Came } from "../output/came.ts";
import { noteLease } from "../output/completion-words.ts";
import { EXIT } from "../output/exit.ts";
import { LEFT_SAYS, onInterrupt, type Left } from "../output/interrupt.ts";
import { Queue } from "../output/queue.ts";
import { RunLines } from "../output/run-lines.ts";
import { dim, print, printJson, say, showRaw, yellow } from "../output/terminal.ts";
import { UserError, countOf } from "../output/ui.ts";
import { prepare, type Prepared } from "./quote.ts";
import { concludeRun, type Streams } from "./run-end.ts";
import { failRun } from "./run-failed.ts";
import { reused } from "./run-reused.ts";
import { withRetries, type Tried } from "./run-retries.ts";
import { runReplicas } from "./run-replicas.ts";

/** Where nobody says how long. */
const WAIT_MS = 10 * 60_000;

/** What was asked for is in order, and the work is read. */
export async function runByLease(input: RunInput, work: Work): Promise<void> {
  const quiet = input.quiet || input.json;
  if (input.reuse && (await reused(input, work))) return;
  const looks = (await openClient("spend")).client.identity.scopes.includes("read");
  if (!looks && !input.detach && !input.dryRun)
    throw new UserError("this key may order and not look: add --detach, or use a token with --scopes spend,control,read");
  const waitMs = looks && waits(input) ? (input.for ?? WAIT_MS) : null;
  const prepared = await prepare(input, work, { isBrief: !input.verbose && !input.dryRun, waitMs });
  if (input.dryRun) {
    if (input.json) printJson({ quote: prepared.shown });
    return;
  }
  const { context, run } = prepared;
  const options = { retries: input.retries ?? 0, quiet, currency: context.currency };
  if (run.wanted.replicas === undefined)
    return withRetries(run, options, (each, again) => runOnMarket({ ...prepared, run: each }, work, input, again));
  return runReplicas(prepared, input);
}

/** What is to run is read when it is its turn: a lease before it may have made it. */
export async function afterThese(leases: readonly string[], quiet: boolean): Promise<void> {
  const { client } = await openClient("read", "spend");
  const onLeft = (left: readonly string[]): void =>
    void (quiet || say(dim(`after    waits for ${countOf(left.length, "lease")}: ${left.map(shortId).join(", ")}`)));
  await untilEndedWell(client, leases, { onLeft });
}

/** Who sits at a terminal waits for room unless it says otherwise; a program does where it says so. Replicas do not. */
const waits = ({ wait, noWait, for: waitMs, json, replicas }: RunInput): boolean =>
  replicas === 1 && !noWait && (wait || waitMs !== null || (process.stderr.isTTY && !json));

/** What is told and noted from the order on. */
class Ordering {
  readonly lines: RunLines;
  readonly #queue: Queue;
  readonly #quiet: boolean;
  readonly #showsConsole: boolean;
  #noted: Promise<void> | null = null;

  constructor({ market, run }: Prepared, { showsConsole }: Work, quiet: boolean) {
    this.lines = new RunLines(run.work, quiet);
    this.#queue = new Queue({ quiet, brokerNow: () => market.client.brokerNow() });
    this.#quiet = quiet;
    this.#showsConsole = showsConsole;
  }

  /** `call`: orders, and tells what comes of it. */
  async until<T>(call: (watching: Watching) => Promise<T>): Promise<T> {
    const onLease = (lease: string): void => this.#placed(lease);
    try {
      // nobody waits for the log: `xeno verify` does
      return await this.#queue.until(call({ ...this.lines.watching, ...this.#queue.watching, onLease, receiptWaitMs: 0 }));
    } catch (error) {
      throw this.#queue.told(error);
    } finally {
      await this.#noted;
      // the job hears of what came meanwhile, and whoever follows it of all that comes
      this.#queue.end();
    }
  }

  /** For `catch`, of a job that is followed: where it was given up before, all is said. */
  async failed(error: unknown, job: Job): Promise<never> {
    if (this.#queue.isGivenUp) throw this.#queue.told(error);
    return failRun(error, job);
  }

  #placed(lease: string): void {
    this.#queue.placed();
    this.#noted = noteLease(home.data, lease, true);
    if (this.#quiet) return;
    say(dim(`lease    ${shortId(lease)}`));
    if (this.#showsConsole) say(dim(`         console below; type into it with: xeno console ${shortId(lease)}`));
  }
}

async function detach({ run }: Prepared, ordering: Ordering, { json, quiet }: RunInput): Promise<void> {
  const lease = await ordering
    .until((watching) => run.start(watching))
    .catch(failRun)
    .finally(() => ordering.lines.close());
  if (json) return printJson({ lease, detached: true });
  print(lease);
  if (!quiet) say(`it runs on; follow it with: xeno attach ${shortId(lease)}`);
}

/** What it prints, where it belongs; with `--json` it is held to its end. */
async function printed({ output }: Job, lines: RunLines, { json }: RunInput): Promise<Streams> {
  const held: Streams = { stdout: [], stderr: [] };
  for await (const { stream, bytes } of output) {
    lines.prints();
    if (json) held[stream].push(bytes);
    else await showRaw(stream, bytes);
  }
  return held;
}

/** `again`: of what a try came to, whether another follows. */
async function runOnMarket(prepared: Prepared, work: Work, input: RunInput, again: (tried: Tried) => boolean): Promise<void> {
  const quiet = input.quiet || input.json;
  if (input.detach) return detach(prepared, new Ordering(prepared, work, quiet), input);
  const wills = stopsOnExit(input) ? LastWills.of(prepared.market.client) : null;
  try {
    const left = await followed(prepared, new Ordering(prepared, work, quiet), input, again);
    if (left === "detach" && wills && !(await wills.release()))
      say(yellow("         the broker could not be told so: it may stop it a minute from now"));
  } finally {
    wills?.leave();
  }
}

/** Ordered, and followed to its end (null), or until somebody lets go of it here. */
async function followed(prepared: Prepared, ordering: Ordering, input: RunInput, again: (tried: Tried) => boolean): Promise<Left | null> {
  const { run } = prepared;
  const joined = joinedHere(input.quiet || input.json);
  const held = "vm" in run.work.spec ? processOf(run.work.spec.vm) : USUAL_PROCESS;
  const job = await ordering.until((watching) => run.run({ ...watching, onInput: () => joined.input(held) }));
  job.result.then(
    () => ordering.lines.received(true, job.lease),
    () => ordering.lines.received(false, job.lease),
  );
  if (held.terminal) joined.followSize(job);
  const output = printed(job, ordering.lines, input);
  const left = await untilLeft(job, ordering, { joined, stops: stopsOnExit(input) }).finally(async () => {
    ordering.lines.close();
    // first: what is let go of here is no end of what the program reads
    job.detach();
    await job.result.catch(() => {});
    joined.close();
  });
  if (typeof left === "string") {
    sayLeft(job, left);
    return left;
  }
  const came = { ...left, printed: await output };
  if (again(came)) await noteLease(home.data, came.lease.id, false);
  else await concludeRun(prepared, job, input, came);
  return null;
}

/** Until it has ended, or somebody lets go of it here. */
async function untilLeft(job: Job, ordering: Ordering, { joined, stops }: { joined: Joined; stops: boolean }): Promise<Left | Came> {
  const interrupted = onInterrupt(job, { isJoined: () => joined.isJoined, stops });
  const typedAway = joined.left.then(() => "detach" as const);
  try {
    const came = cameTo(job).catch((error: unknown) => ordering.failed(error, job));
    return await Promise.race([came, interrupted.left, typedAway]);
  } finally {
    interrupted.done();
  }
}

function sayLeft({ lease }: Job, left: Left): void {
  process.exitCode = EXIT.interrupted;
  const next = left === "detach" ? "; follow it with: xeno attach" : ": xeno lease show";
  say(`${LEFT_SAYS[left]}${next} ${shortId(lease)}`);
}
