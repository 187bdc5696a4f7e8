/** Tools that order: what it would cost, and running it. */
import type { LeaseView } from "@xenoservers/protocol";
import { GivenUpError, NotStartedError, shortId, type Job } from "@xenoservers/sdk";
import { z } from "zod";
import { workOf } from "../input/work.ts";
import { cameTo, type Came } from "../output/came.ts";
import { exitCodeWith } from "../output/deliver.ts";
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
  job: Job;
  output: Record<"stdout" | "stderr", Slicer>;
}

/** What it prints, up to what an answer shows; the rest flows on. */
async function sliced({ job: { output }, output: slices }: Running): Promise<void> {
  for await (const { stream, bytes } of output) slices[stream].add(bytes);
}

async function order({ run }: Prepared, call: Call): Promise<Running> {
  call.signal.throwIfAborted();
  call.money.effect = "an order may stand: see the tool leases; it costs at most its budget";
  let id = "";
  const job = await run.run({
    receiptWaitMs: 0,
    onLease(lease) {
      id = lease;
      call.money.effect = `lease ${shortId(lease)} was ordered: the tool leases says what it costs, at most its budget`;
      call.session.leases.add(lease);
      call.progress.says(`lease ${shortId(lease)}: ordered`);
    },
    onState: (state) => call.progress.says(`lease ${shortId(id)}: ${state}`),
  });
  return { job, output: { stdout: new Slicer(), stderr: new Slicer() } };
}

/** Resolves to an error when the agent does not want the job any more: it is withdrawn by then. */
function cancelled({ job }: Running, { signal, money, session: { leases } }: Call): Promise<Error> {
  const { promise, resolve } = Promise.withResolvers<Error>();
  const give = async (): Promise<void> => {
    leases.over(job.lease); // nothing else has to stop it
    const left = await job.stop({ reason: "cancelled by the agent" });
    money.effect = LEFT_SAYS[left];
    resolve(new UserError(`it was cancelled; ${LEFT_SAYS[left]}`));
  };
  if (signal.aborted) void give();
  else signal.addEventListener("abort", () => void give(), { once: true });
  return promise;
}

async function toTheEnd(running: Running, call: Call): Promise<Came> {
  const shown = sliced(running);
  const came = cameTo(running.job).catch((error: unknown) => {
    const left = error instanceof NotStartedError || error instanceof GivenUpError ? error.left : null;
    if (left !== null) call.money.effect = LEFT_SAYS[left];
    throw error;
  });
  const first = await Promise.race([came, cancelled(running, call)]);
  if (first instanceof Error) throw first;
  await shown;
  return first;
}

function whole({ context }: Prepared, { output }: Running, { lease, result }: Came): Record<string, unknown> {
  return {
    ...endOf(lease, context.currency),
    exit: exitCodeWith(lease, (result?.delivered ?? null) !== null),
    detail: result?.detail ?? "",
    stdout: output.stdout.slice(),
    stderr: output.stderr.slice(),
    files: result?.files.length ?? 0,
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
    await call.session.leases.assertRoom();
    const here = await jobHere(job, call.session.folder);
    let running: Running | null = null;
    try {
      const ready = await prepared(here);
      running = await order(ready, call);
      const { lease } = running.job;
      const came = toTheEnd(running, call);
      if (background) {
        const first = await Promise.race([running.job.running.catch(() => came), came]);
        if (first === undefined) return { lease, state: "running", follow: "the tool result" };
        return whole(ready, running, first);
      }
      const answer = whole(ready, running, await came);
      call.session.leases.over(lease);
      return answer;
    } finally {
      running?.job.detach();
      await here.done();
    }
  },
});
