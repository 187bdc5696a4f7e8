/** A run on the market: quote, order, send, follow, fetch, pay. */
import { runsAlike } from "@xenoservers/market";
import {
  type Audit,
  type BoundOrder,
  type BuiltWork,
  type Delivered,
  type LeaseSession,
  type MarketClient,
  type Work,
  drawnAudit,
  filesIn,
  followUp,
  home,
  keepJob,
  keepReceipt,
  RunHere,
  openSession,
  shortId,
  untilEndedWell,
} from "@xenoservers/sdk";
import { USUAL_PROCESS, processOf, type LeaseView } from "@xenoservers/protocol";
import { openClient } from "../input/client.ts";
import { stopsOnExit, type RunInput } from "../input/verbs/run.ts";
import { joinedHere, type Joined } from "../machine/joined.ts";
import { noteLease } from "../output/completion-words.ts";
import { placeOrWait } from "../output/queue.ts";
import { exitCodeWith, taking } from "../output/deliver.ts";
import { encodedStreams } from "../output/encoded.ts";
import { LEFT_SAYS, onInterrupt } from "../output/interrupt.ts";
import { endLine, nextCommand } from "../output/lease-lines.ts";
import { Sending } from "../output/sending.ts";
import { Starting } from "../output/starting.ts";
import { dim, print, printJson, red, say, showRaw, yellow } from "../output/terminal.ts";
import { EXIT } from "../output/exit.ts";
import { UserError, countOf } from "../output/ui.ts";
import { auditLine } from "../proof/audit.ts";
import { keptAndChecked } from "../proof/receipt-check.ts";
import { prepare, type Prepared } from "./quote.ts";
import { reused } from "./run-reused.ts";
import { withRetries } from "./run-retries.ts";
import { runReplicas } from "./run-replicas.ts";

/** What was asked for is in order, and the work is read. */
export async function runByLease(input: RunInput, work: Work): Promise<void> {
  const quiet = input.quiet || input.json;
  if (input.reuse && (await reused(input, work))) return;
  const looks = (await openClient("spend")).client.identity.scopes.includes("read");
  if (!looks && !input.detach && !input.dryRun)
    throw new UserError("this key may order and not look: add --detach, or use a token with --scopes spend,control,read");
  if (looks && waits(input)) work.wanted.waitMs = input.for;
  const prepared = await prepare(input, work, { isBrief: !input.verbose && !input.dryRun });
  if (input.dryRun) {
    if (input.json) printJson({ quote: prepared.shown });
    return;
  }
  const { client, context, quotes } = prepared;
  const job = work.build(quotes[0].offer);
  const options = { retries: input.retries ?? 0, quiet, currency: context.currency };
  const settled = prepared.work;
  if (settled.wanted.replicas === undefined)
    return withRetries(settled.wanted, options, (wanted, again) =>
      runOnMarket({ ...prepared, work: { ...settled, wanted } }, job, input, again),
    );
  return runReplicas(client, job, settled, {
    ...{ out: input.out, json: input.json, noAudit: input.noAudit, quiet },
    currency: context.currency,
  });
}

/** What is to run is read when it is its turn: a lease before it may have made it. */
export async function afterThese(leases: readonly string[], quiet: boolean): Promise<void> {
  const { client } = await openClient("read", "spend");
  const onLeft = (left: readonly string[]): void =>
    void (quiet || say(dim(`after    waits for ${countOf(left.length, "lease")}: ${left.map(shortId).join(", ")}`)));
  await untilEndedWell(client, leases, { onLeft });
}

/** Who sits at a terminal waits for room unless it says otherwise; a program does where it says so. Replicas do not. */
const waits = ({ wait, noWait, json, replicas }: RunInput): boolean =>
  replicas === 1 && !noWait && (wait || (process.stderr.isTTY && !json));

interface Running {
  client: MarketClient;
  bound: BoundOrder;
  session: LeaseSession;
  /** Resolves when the guest runs, or has. */
  started: Promise<void>;
  /** Whether the whole job is with its server: then it runs without this side too. */
  isThere(): boolean;
  output: Record<"stdout" | "stderr", Uint8Array[]>;
  /** What it comes to, to be kept for the same work. */
  held: RunHere;
  /** What is typed here; null where nobody stays with it. */
  joined: Joined | null;
  close(): void;
}

async function order({ client, work }: Prepared, job: BuiltWork, input: RunInput): Promise<Running> {
  const quiet = input.quiet || input.json;
  const bound = await placeOrWait(client, work.wanted, job.jobHash, quiet);
  if (!quiet) say(dim(`lease    ${shortId(bound.po.id)}`));
  if (!quiet && work.showsConsole) say(dim(`         console below; type into it with: xeno console ${shortId(bound.po.id)}`));
  await keepJob(job);
  await noteLease(home.data, bound.po.id, true);
  const output: Running["output"] = { stdout: [], stderr: [] };
  const { promise: started, resolve: start } = Promise.withResolvers<void>();
  let there = false;
  const sending = new Sending(quiet);
  const starting = Starting.here("vm" in job.spec ? "making its disk ready and booting" : "making it ready to run", quiet);
  const held = new RunHere();
  const joined = input.detach ? null : joinedHere(quiet);
  const process = "vm" in job.spec ? processOf(job.spec.vm) : USUAL_PROCESS;
  const opened = openSession(client, bound, job, {
    async onOutput(stream, bytes) {
      starting.state("running");
      held.printed(stream, bytes);
      if (input.json) output[stream].push(bytes);
      else if (!input.detach) await showRaw(stream, bytes);
    },
    onSent: (progress) => sending.sent(progress),
    onState(state) {
      if (state !== "waiting") sending.end(["preparing", "running", "ended"].includes(state));
      starting.state(state);
      if (state === "running" || state === "ended") start();
      there = state === "matched again" ? false : there || ["preparing", "running", "ended"].includes(state);
      if (!quiet && (state.startsWith("problem") || state === "reconnecting" || state === "matched again"))
        say(yellow(`         ${state}`));
    },
    ...(joined ? { onResult: taking(input.out, work.shared, held), onInput: () => joined.input(process) } : {}),
  });
  if (process.terminal) joined?.followSize(opened.session);
  const close = (): void => {
    starting.state("closed");
    // first: what is let go of here is no end of what the program reads
    opened.close();
    joined?.close();
  };
  return { client, bound, started, isThere: () => there, output, held, joined, session: opened.session, close };
}

/** Ends an order whose job will never start: a part of it cannot be had here, or its broker or server does not do what it should. */
function giveUp({ session, close }: Running, why: Error): never {
  close();
  if (why.name === "BrokenPurchaseOrder") throw why;
  throw new UserError(`${why.message}; ${LEFT_SAYS[session.left ?? "unheard"]}`);
}

async function detach(running: Running, { json, quiet }: RunInput): Promise<void> {
  const { session, started, close } = running;
  const first = await Promise.race([started, session.settled(), session.failed]);
  if (first instanceof Error) return giveUp(running, first);
  close();
  if (json) return printJson({ lease: session.lease, detached: true });
  print(session.lease);
  if (!quiet) say(`it runs on; follow it with: xeno attach ${shortId(session.lease)}`);
}

/** `again`: of a lease that has ended, whether another try follows. */
async function runOnMarket(prepared: Prepared, job: BuiltWork, input: RunInput, again: (lease: LeaseView) => boolean): Promise<void> {
  const running = await order(prepared, job, input);
  if (input.detach) return detach(running, input);
  const { client, session, joined, close } = running;
  const interrupted = onInterrupt(client, session, {
    isThere: running.isThere,
    isJoined: () => joined?.isJoined === true,
    stops: stopsOnExit(input),
  });
  const typedAway = joined?.left.then(() => "detach" as const) ?? interrupted.left;
  const ended = Promise.all([session.settled(), session.delivered()]);
  const left = await Promise.race([ended, interrupted.left, typedAway, session.failed]).catch(async (error: Error) => {
    // nobody waits for it any more
    await session.withdraw("its customer has given it up");
    close();
    const id = shortId(session.lease);
    throw new UserError(
      `${error.message}; the lease is ${id}: xeno lease show ${id}, and its result, while it is kept: xeno lease result ${id} --out DIR`,
    );
  });
  interrupted.done();
  if (left instanceof Error) return giveUp(running, left);
  close();
  if (typeof left === "string") {
    process.exitCode = EXIT.interrupted;
    const next = left === "detach" ? "; follow it with: xeno attach" : ": xeno lease show";
    return say(`${LEFT_SAYS[left]}${next} ${shortId(session.lease)}`);
  }
  if (again(left[0])) {
    await keepReceipt(client, left[0].id, 0);
    return noteLease(home.data, left[0].id, false);
  }
  await conclude(prepared, job, input, running, ...left);
}

/** What the log drew, followed up at once unless that is left to later. */
async function audited(
  { client, work }: Prepared,
  job: BuiltWork,
  { noAudit }: RunInput,
  { order: { payload } }: BoundOrder,
  lease: LeaseView,
) {
  const drawn = drawnAudit(lease);
  if (!drawn?.drawn) return drawn;
  if (noAudit) return { ...drawn, undone: "it was left to later" };
  return followUp(client, drawn, lease.id, { order: payload, job, budgetNanos: work.wanted.budgetNanos });
}

/** What it came to: exit code, bill, receipt, and what to do where something is not right. */
async function conclude(
  prepared: Prepared,
  job: BuiltWork,
  input: RunInput,
  running: Running,
  lease: LeaseView,
  delivered: Delivered | null,
) {
  const { client, context, work } = prepared;
  const quiet = input.quiet || input.json;
  const failed = await checkReceipt(client, lease.id);
  if (delivered && failed.length === 0 && exitCodeWith(lease, delivered) === 0) await running.held.keep(client, job, lease.id, delivered);
  await noteLease(home.data, lease.id, false);
  process.exitCode = exitCodeWith(lease, delivered);
  const audit = await audited(prepared, job, input, running.bound, lease);
  if (audit?.wrong) process.exitCode = EXIT.xeno;
  const detail = delivered?.result.detail ?? "";
  if (input.json)
    return printJson({
      lease: lease.id,
      reused: false,
      end: lease.end,
      detail,
      audit,
      delivered: delivered?.from ?? null,
      ...encodedStreams(running.output),
    });
  if (!quiet || lease.end?.reason !== "completed") {
    say(endLine(lease, context.currency));
    if (detail !== "") say(`         ${detail}`);
  }
  if (lease.end?.result && !delivered) say(red(`         its output did not come as the server signed it; ${nextCommand(lease)}`));
  if (!quiet)
    showMore(lease, delivered, input, {
      audit,
      failed,
      currency: context.currency,
      reExecutes: runsAlike(job.driver, work.wanted.assurance),
    });
}

interface More {
  audit: Audit | null;
  failed: readonly string[];
  currency: string;
  reExecutes: boolean;
}

function showMore({ id }: LeaseView, delivered: Delivered | null, { out }: RunInput, { audit, failed, currency, reExecutes }: More): void {
  const lease = shortId(id);
  const files = out === null ? filesIn(delivered?.tree ?? []) : 0;
  if (audit) say(auditLine(audit, id, currency));
  for (const line of failed) say(red(`         the receipt does not hold: ${line}`));
  if (files > 0) say(`         ${countOf(files, "file")} in /out at the server: xeno fetch ${lease} --out DIR`);
  const again = reExecutes ? `   run it again here and compare: xeno verify ${lease} --re-execute` : "";
  say(dim(`         check it: xeno verify ${lease}${again}`));
}

/** Keeps the receipt and checks it at once: purchase order, result and bill; returns what is wrong, in words. */
async function checkReceipt(client: MarketClient, lease: string): Promise<string[]> {
  const { lines } = await keptAndChecked(client, lease);
  return lines.filter(({ status }) => status === "failed").map(({ check, says }) => `${check}: ${says}`);
}
