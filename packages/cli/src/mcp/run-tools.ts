/** Tools that order: what it would cost, and running it. */
import type { LeaseView } from "@xenoservers/protocol";
import {
  filesIn,
  keepJob,
  keepReceipt,
  openSession,
  placeOrder,
  shortId,
  type BoundOrder,
  type Delivered,
  type LeaseSession,
} from "@xenoservers/sdk";
import { z } from "zod";
import { workOf } from "../input/work.ts";
import { exitCodeWith, taking } from "../output/deliver.ts";
import { LEFT_SAYS } from "../output/interrupt.ts";
import { UserError, money } from "../output/ui.ts";
import { prepare, type Prepared } from "../verbs/quote.ts";
import { jobHere, zJob, type JobHere } from "./job-input.ts";
import { Slicer } from "./slice.ts";
import { tool, type Call } from "./tool.ts";

async function prepared({ input }: JobHere): Promise<Prepared> {
  return prepare(input, await workOf(input));
}

export const quoteTool = tool({
  name: "quote",
  title: "What a run would cost",
  says:
    "The price per hour and the most that this very job can cost, and on which server it would run. Takes what run takes; orders " +
    "nothing.",
  looks: true,
  schema: zJob,
  async run(job, { session }) {
    const here = await jobHere(job, session.folder);
    try {
      const { shown, context } = await prepared(here);
      return { quote: shown, currency: context.currency };
    } finally {
      await here.done();
    }
  },
});

/** What a lease came to: how it ended, whose doing that was, and what it cost. */
export function endOf({ id, state, end }: LeaseView, currency: string) {
  if (!end) return { lease: id, state, cost: null };
  const { reason, exitCode, blame } = end;
  return {
    ...{ lease: id, state, reason, exitCode, blame },
    cost: { due: money(end.dueNanos, currency), back: money(end.refundNanos, currency) },
  };
}

interface Running {
  bound: BoundOrder;
  session: LeaseSession;
  started: Promise<void>;
  output: Record<"stdout" | "stderr", Slicer>;
  close(): void;
}

async function order({ client, work, quotes }: Prepared, out: string | null, call: Call): Promise<Running> {
  const job = work.build(quotes[0].offer);
  call.signal.throwIfAborted();
  call.money.effect = "an order may stand: see the tool leases; it costs at most its budget";
  const bound = await placeOrder(client, work.wanted, job.jobHash);
  call.money.effect = `lease ${shortId(bound.po.id)} was ordered: the tool leases says what it costs, at most its budget`;
  call.session.leases.add(bound.po.id);
  await keepJob(job);
  const output = { stdout: new Slicer(), stderr: new Slicer() };
  const { promise: started, resolve: start } = Promise.withResolvers<void>();
  const { session, close } = openSession(client, bound, job, {
    onOutput: (stream, bytes) => output[stream].add(bytes),
    onState: (state) => void ((state === "running" || state === "ended") && start()),
    onResult: taking(out, []),
  });
  return { bound, session, started, output, close };
}

/** Resolves to an error when the agent does not want the job any more: it is withdrawn by then. */
function cancelled({ session }: Running, { signal, money, session: { leases } }: Call): Promise<Error> {
  const { promise, resolve } = Promise.withResolvers<Error>();
  const give = async (): Promise<void> => {
    leases.over(session.lease); // nothing else has to stop it
    const left = await session.withdraw("cancelled by the agent");
    money.effect = LEFT_SAYS[left];
    resolve(new UserError(`it was cancelled; ${LEFT_SAYS[left]}`));
  };
  if (signal.aborted) void give();
  else signal.addEventListener("abort", () => void give(), { once: true });
  return promise;
}

type Came = [LeaseView, Delivered | null];

async function toTheEnd(running: Running, call: Call): Promise<Came> {
  const { session } = running;
  const ended = Promise.all([session.settled(), session.delivered()]);
  const first = await Promise.race([ended, session.failed, cancelled(running, call)]);
  if (!(first instanceof Error)) return first;
  ended.catch(() => {});
  if (session.left !== null) call.money.effect = LEFT_SAYS[session.left];
  throw first;
}

async function whole({ client, context }: Prepared, { output }: Running, [lease, delivered]: Came): Promise<Record<string, unknown>> {
  await keepReceipt(client, lease.id, 0);
  return {
    ...endOf(lease, context.currency),
    exit: exitCodeWith(lease, delivered),
    detail: delivered?.result.detail ?? "",
    stdout: output.stdout.slice(),
    stderr: output.stderr.slice(),
    files: filesIn(delivered?.tree ?? []),
  };
}

const zRun = zJob.extend({
  background: z
    .boolean()
    .default(false)
    .describe("return when it runs; the tool result follows it, exec and files reach into an image; it is stopped when this session ends"),
});

export const runTool = tool({
  name: "run",
  title: "Run a program on a rented computer",
  says:
    "Orders, runs and pays for one job, and gives its exit code, output and cost. Cancelling the call stops the job and its cost. " +
    "Output is cut at 32 KiB a stream; the tool result reads on. What the job leaves in /out: the tool files.",
  looks: false,
  schema: zRun,
  async run({ background, ...job }, call) {
    call.session.leases.assertRoom();
    const here = await jobHere(job, call.session.folder);
    let running: Running | null = null;
    try {
      const ready = await prepared(here);
      running = await order(ready, here.input.out, call);
      const { lease } = running.session;
      if (background) {
        const first = await Promise.race([running.started, toTheEnd(running, call)]);
        if (first === undefined) return { lease, state: "running", follow: "the tool result" };
        return await whole(ready, running, first);
      }
      const answer = await whole(ready, running, await toTheEnd(running, call));
      call.session.leases.over(lease);
      return answer;
    } finally {
      running?.close();
      await here.done();
    }
  },
});
