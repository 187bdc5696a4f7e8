/** Tools that reach into one lease: its output, its files, and programs in its machine. */
import { holdsCapacity } from "@xenoservers/market";
import { Market, shortId, GuestFiles, GuestProgram, isWithoutShell, type Delivered, type TreeFile } from "@xenoservers/sdk";
import { z } from "zod";
import { hold, type Held } from "../machine/hold.ts";
import { cameTo } from "../output/came.ts";
import { exitCodeWith } from "../output/deliver.ts";
import { follow, type Followed } from "../output/follow.ts";
import { UserError } from "../output/ui.ts";
import { zLease } from "./market-tools.ts";
import { firstEntries } from "./first-entries.ts";
import { endOf } from "./run-tools.ts";
import { SLICE_BYTES_MAX, Slicer, sliceOf } from "./slice.ts";
import { tool, type Call } from "./tool.ts";

const zFrom = z.int().min(0).default(0).describe("begin at this byte: what an earlier answer calls next");

/** Rejects when the agent does not want to know any more. */
function unwanted(signal: AbortSignal): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  promise.catch(() => {});
  const stop = (): void => reject(new UserError("the call was cancelled; the lease is as it was"));
  if (signal.aborted) stop();
  else signal.addEventListener("abort", stop, { once: true });
  return promise;
}

/** Without a word of the server. */
const ANSWER_WAIT_MS = 30_000;

/** Follows as long as `what` takes. */
async function following<T>({ session: { client }, signal }: Call, id: string, what: (followed: Followed) => Promise<T>): Promise<T> {
  const followed = await follow(client, id, {});
  try {
    return await Promise.race([what(followed), unwanted(signal)]);
  } finally {
    followed.close();
  }
}

export const resultTool = tool({
  name: "result",
  title: "Output and end of a lease",
  says:
    "Waits for a lease's end (or, without 'wait', takes what it has printed so far) and gives exit code, cost and output. " +
    "Cancelling the call ends the waiting, not the job: the tool stop does that.",
  looks: true,
  schema: z.strictObject({ lease: zLease, wait: z.boolean().default(true), stdoutFrom: zFrom, stderrFrom: zFrom }),
  async run({ lease: id, wait, stdoutFrom, stderrFrom }, call) {
    const { client, context, leases } = call.session;
    const market = Market.of(client);
    const { state, ...lease } = await market.lease(id);
    const slicers = () => ({ stdout: new Slicer(stdoutFrom), stderr: new Slicer(stderrFrom) });
    let output = slicers();
    const onState = (now: string): void => {
      call.progress.says(`lease ${shortId(lease.id)}: ${now}`);
      if (now === "matched again") output = slicers();
    };
    const job = await market.attach(lease.id, { leaveFiles: true, receiptWaitMs: 0, onState });
    const sliced = (async () => {
      for await (const { stream, bytes } of job.output) output[stream].add(bytes);
    })();
    const streams = () => ({ stdout: output.stdout.slice(), stderr: output.stderr.slice() });
    const silent = Promise.withResolvers<null>();
    const silence = client.timers.after(ANSWER_WAIT_MS, () => silent.resolve(null));
    const isWaiting = wait || !holdsCapacity(state);
    const came = cameTo(job);
    came.catch(() => {});
    try {
      const soFar = isWaiting ? [] : [silent.promise, job.shown.then(() => null)];
      const first = await Promise.race([came, ...soFar, unwanted(call.signal)]);
      if (first === null) {
        job.detach();
        await sliced;
        return { lease: lease.id, state, ...streams() };
      }
      await sliced;
      const { lease: after, result } = first;
      leases.over(after.id);
      return {
        ...endOf(after, context.currency),
        exit: exitCodeWith(after, (result?.delivered ?? null) !== null),
        ...{ detail: result?.detail ?? "", ...streams(), files: result?.files.length ?? 0 },
      };
    } finally {
      silence();
      job.detach();
    }
  },
});

/** A file that one answer shows a part of is fetched whole: no larger one. */
const FILE_BYTES_MAX = 64 * 1024 * 1024;
const ENTRIES_MAX = 1_000;

const shownEntries = (entries: readonly object[]) => ({ entries: entries.slice(0, ENTRIES_MAX), cut: entries.length > ENTRIES_MAX });

async function resultFiles({ session }: Followed, id: string, path: string | undefined, from: number): Promise<Record<string, unknown>> {
  const delivered: Delivered | null = await session.delivered();
  if (!delivered)
    throw new UserError(`the files of ${shortId(id)} cannot be had: its server keeps them no more and nothing lies with the broker`);
  const files = delivered.tree.filter((entry): entry is TreeFile => entry.kind === "file");
  if (path === undefined) return shownEntries(files.map(({ path: at, size }) => ({ path: `/${at}`, size })));
  const file = files.find(({ path: at }) => `/${at}` === path);
  if (!file) throw new UserError(`there is no file '${path}' in what ${shortId(id)} left: the tool files without a path lists them`);
  if (file.size > FILE_BYTES_MAX)
    throw new UserError(`'${path}' has ${file.size} bytes, more than is shown: run with 'out', or \`xeno fetch\``);
  return { path, size: file.size, ...sliceOf(await session.fetch(file), from) };
}

async function machineFiles({ session }: Held, path: string, from: number): Promise<Record<string, unknown>> {
  const files = await GuestFiles.open(session.machine);
  try {
    const found = await files.look(path);
    if (!found) throw new UserError(`there is nothing at ${path} in the machine`);
    if (found.kind === "folder") {
      const entries = await firstEntries(files, path, ENTRIES_MAX);
      return shownEntries(entries.map(({ path: at, kind, size }) => ({ path: at.toWellFormed(), kind, size })));
    }
    if (found.kind !== "file") throw new UserError(`${path} in the machine is a ${found.kind}`);
    // what follows the part is not waited for
    const part = new Slicer(from, from);
    const enough = Promise.withResolvers<void>();
    const whole = files.get(path, from, {
      take(bytes) {
        part.add(bytes);
        if (part.bytes > from + SLICE_BYTES_MAX) enough.resolve();
        return Promise.resolve();
      },
      whole: () => Promise.resolve(enough.resolve()),
      end: () => Promise.resolve(enough.resolve()),
    });
    await Promise.race([whole, enough.promise]);
    whole.catch(() => {});
    return { path, size: found.size, ...part.slice(), bytes: found.size };
  } finally {
    files.close();
  }
}

export const filesTool = tool({
  name: "files",
  title: "Files of a lease",
  says:
    "What a job that has ended left in /out: without a path the list, with one that file's contents, 32 KiB from 'from' on. " +
    "Of a machine or image that runs: a folder's list or a file, by its path there.",
  looks: true,
  schema: z.strictObject({ lease: zLease, path: z.string().optional(), from: zFrom }),
  async run({ lease: id, path, from }, call) {
    const lease = await call.session.client.read("lease", { params: { id } });
    if (!holdsCapacity(lease.state)) return following(call, lease.id, (followed) => resultFiles(followed, lease.id, path, from));
    const held = await hold(lease.id, null);
    try {
      return await Promise.race([machineFiles(held, path ?? "/", from), unwanted(call.signal)]);
    } finally {
      held.close();
    }
  },
});

/** What a program prints beyond this ends it: nobody would read it. */
const PRINTED_BYTES_MAX = 16 * 1024 * 1024;

const zExec = z.strictObject({
  lease: zLease,
  command: z.array(z.string()).min(1).max(4_096).describe("the program and its arguments; for a shell: sh, -c, and one text"),
  stdin: z.string().default(""),
  env: z.record(z.string(), z.string()).default({}),
  user: z.string().optional(),
  workdir: z.string().optional(),
});

async function printed(program: GuestProgram): Promise<{ stdout: Slicer; stderr: Slicer; isTooMuch: boolean }> {
  const output = { stdout: new Slicer(), stderr: new Slicer() };
  let isTooMuch = false;
  await Promise.all(
    (["stdout", "stderr"] as const).map(async (stream) => {
      for await (const bytes of program[stream]) {
        output[stream].add(bytes as Uint8Array);
        if (output.stdout.bytes + output.stderr.bytes <= PRINTED_BYTES_MAX) continue;
        isTooMuch = true;
        program.kill();
      }
    }),
  );
  return { ...output, isTooMuch };
}

export const execTool = tool({
  name: "exec",
  title: "Run a program in a machine",
  says:
    "Runs a program in the machine or image of a lease that runs (of run with background), to its end: exit code and output, cut at " +
    "32 KiB a stream. Cancelling the call ends the program. The lease goes on and costs.",
  looks: false,
  schema: zExec,
  async run({ lease, command, stdin, env, user, workdir }, { signal, money }) {
    money.effect = "the lease goes on and costs, at most its budget";
    const held = await hold(lease, null);
    try {
      const program = await GuestProgram.start(held.session.machine, {
        args: command,
        env: Object.entries(env),
        ...(user === undefined ? {} : { user }),
        ...(workdir === undefined ? {} : { workdir }),
      }).catch((error: unknown) => {
        if (isWithoutShell(error))
          throw new UserError("this guest has no Perl, which programs with input and output need there: install it");
        throw error;
      });
      const cancelled = unwanted(signal);
      cancelled.catch(() => program.kill());
      program.stdin.end(stdin);
      const { stdout, stderr, isTooMuch } = await Promise.race([printed(program), cancelled]);
      if (isTooMuch) throw new UserError(`it printed more than ${PRINTED_BYTES_MAX} bytes and was ended: write into a file there instead`);
      const { exitCode, why } = await program.ended;
      return { exitCode, ...(why === null ? {} : { problem: why }), stdout: stdout.slice(), stderr: stderr.slice() };
    } finally {
      held.close();
    }
  },
});
