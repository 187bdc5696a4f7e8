/**
 * What the runs of one lease came to, kept as single runs are, each by the digest of its own work: what they have in common once, by the
 * job's hash, and beside it what is each one's own. Who controls the inputs: this machine's disk; what stands in it a stranger's job said.
 */
import {
  RUNS_FILE,
  canonicalBytes,
  fromHex,
  entriesByRun,
  ifCanonical,
  jobHashOf,
  parseRunEnds,
  singleRunsOf,
  toHex,
  zJobSpec,
  type Crypto,
  type JobSpec,
  type Payload,
  type RunEnd,
} from "@xenoservers/protocol";
import { zInputTree, type InputEntry, type InputTree } from "@xenoservers/protocol/channel";
import * as z from "zod/mini";
import type { BuiltJob } from "../job.ts";
import type { HeldFiles, KeptRun, KeptRuns } from "./kept-run.ts";
import { workDigest } from "./same-work.ts";

type Sha = Pick<Crypto, "sha256">;

const zHex = z.string().check(z.regex(/^[0-9a-f]{64}$/));
const zBytes = z.pipe(
  z.string().check(z.regex(/^(?:[0-9a-f]{2})*$/)),
  z.transform((text) => fromHex(text) ?? new Uint8Array()),
);

/** Of one run. */
const zPart = z.strictObject({
  version: z.literal(2),
  /** Under which the rest lies. */
  job: zHex,
  index: z.int().check(z.gte(0)),
  printed: z.strictObject({ stdout: zBytes, stderr: zBytes }),
  /** By digest. */
  files: z.record(z.string(), zBytes),
});

/** Of all runs of the lease. */
const zWhole = z.strictObject({
  version: z.literal(3),
  lease: zHex,
  spec: zJobSpec,
  inputs: zInputTree,
  tree: zInputTree.shape.entries,
  list: zBytes,
});

/** One run as it is read again, with what says that it was signed. */
interface KeptPart {
  run: KeptRun;
  whole: { spec: JobSpec; inputs: InputTree; tree: InputEntry[]; list: Uint8Array };
  end: RunEnd;
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Null where it is none, or cannot be read. */
export async function keptPartIn({ sha256 }: Sha, kept: Pick<KeptRuns, "read">, text: string): Promise<KeptPart | null> {
  const part = zPart.safeParse(jsonIn(text)).data;
  const common = part && (await kept.read(part.job));
  const whole = typeof common === "string" ? zWhole.safeParse(jsonIn(common)).data : undefined;
  if (!part || !whole || jobHash({ sha256 }, whole.spec) !== part.job) return null;
  const spec = ifCanonical(() => singleRunsOf({ sha256 }, whole.spec, whole.inputs))?.[part.index]?.spec;
  const trees = entriesByRun(
    whole.tree.filter(({ path }) => path !== RUNS_FILE),
    whole.spec.runs?.length ?? 0,
  );
  const [tree, end] = [trees?.[part.index], parseRunEnds(whole.list)?.[part.index]];
  if (!spec || !tree || !end) return null;
  const files = new Map(Object.entries(part.files));
  return { whole, end, run: { lease: whole.lease, spec, tree, printed: part.printed, files } };
}

const jobHash = (sha: Sha, spec: JobSpec): string | null => ifCanonical(() => jobHashOf(sha as Crypto, spec));

/** Whether it is what the server signed, to the byte, but for the files. */
export function isSigned(sha: Sha, { whole, end, run }: KeptPart, order: Payload<"order">, result: Payload<"result">): boolean {
  const digestOf = (bytes: Uint8Array): string => toHex(sha.sha256(bytes));
  const list = whole.tree.find(({ path }) => path === RUNS_FILE);
  return (
    order.jobHash === jobHash(sha, whole.spec) &&
    ifCanonical(() => digestOf(canonicalBytes(whole.inputs))) === whole.spec.inputs &&
    ifCanonical(() => digestOf(canonicalBytes(whole.tree))) === result.outputDigest &&
    list?.kind === "file" &&
    list.digest === digestOf(whole.list) &&
    end.ending === "exit" &&
    end.exitCode === 0 &&
    digestOf(run.printed.stdout) === end.stdoutDigest &&
    digestOf(run.printed.stderr) === end.stderrDigest
  );
}

interface Ended {
  lease: string;
  list: Uint8Array;
  delivered: { tree: InputEntry[] };
  /** All of both streams. */
  printed: Readonly<Record<"stdout" | "stderr", Uint8Array>>;
  held: HeldFiles;
}

/** What is to be kept, and under which digest: the whole first. Of runs that ended with 0 alone. */
export function keptRunsTexts(sha: Sha, { spec, inputs, jobHash: job }: BuiltJob, ended: Ended): { digest: string; text: string }[] {
  const { lease, list, printed, held } = ended;
  const { tree } = ended.delivered;
  const [runs, ends] = [singleRunsOf(sha, spec, inputs), parseRunEnds(list)];
  if (!runs || !ends) return [];
  const whole = { version: 3, lease, spec, inputs, tree, list: toHex(list) };
  const texts = [{ digest: job, text: JSON.stringify(whole) }];
  const at = { stdout: 0, stderr: 0 };
  for (const [index, end] of ends.entries()) {
    const next = { stdout: at.stdout + end.stdoutBytes, stderr: at.stderr + end.stderrBytes };
    const own = {
      stdout: toHex(printed.stdout.slice(at.stdout, next.stdout)),
      stderr: toHex(printed.stderr.slice(at.stderr, next.stderr)),
    };
    Object.assign(at, next);
    const run = runs[index];
    if (!run || end.ending !== "exit" || end.exitCode !== 0) continue;
    const named = new Set(tree.flatMap((entry) => (entry.kind === "file" && entry.path.startsWith(`${index}/`) ? [entry.digest] : [])));
    const files = Object.fromEntries([...held.all].flatMap(([digest, bytes]) => (named.has(digest) ? [[digest, toHex(bytes)]] : [])));
    texts.push({ digest: workDigest(sha, run.spec), text: JSON.stringify({ version: 2, job, index, printed: own, files }) });
  }
  return texts;
}
