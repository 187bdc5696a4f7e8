/**
 * A verified earlier result in place of a new run of the same work. Everything is checked anew, offline, each time: the receipt against the
 * pins and against what this customer has signed since, what was ordered against what is wanted now, every byte against what the server
 * signed. Who controls the inputs: this machine's disk; behind it the broker and the server of the earlier lease.
 */
import {
  KINDS,
  canonicalBytes,
  ifCanonical,
  jobHashOf,
  parseDocumentOf,
  toHex,
  zReceipt,
  type Payload,
  type Receipt,
} from "@xenoservers/protocol";
import { runsAlike, type Condition } from "@xenoservers/market";
import { verifyReceipt, type ReceiptVerification } from "@xenoservers/verify";
import type { MarketClient } from "../client.ts";
import { isDoubt } from "../doubt.ts";
import { driverOf, type Wanted } from "../order.ts";
import type { TreeFile } from "../session/result.ts";
import type { Planned } from "./here.ts";
import type { JobResult } from "./job-result.ts";
import { collected, listed } from "./job-files.ts";
import { isSigned, keptPartIn } from "./kept-parts.ts";
import { keptRunIn, type KeptRun, type KeptRuns } from "./kept-run.ts";
import { textOf } from "./output.ts";
import { DOES_RUNS } from "./several-runs.ts";
import { plannedDigest, workDigest } from "./same-work.ts";
import { writeOf } from "./write-of.ts";

/** What this machine has of an earlier run. */
interface Reusable {
  run: KeptRun;
  result: Payload<"result">;
  settlement: Payload<"settlement">;
  verification: ReceiptVerification;
}

type Wants = Pick<Wanted, "assurance" | "on" | "conditions" | "driver" | "egress" | "replicas" | "segment" | "judges">;

/** The only one of its kind; null where there are several: which of them counts nobody need ask then. */
function onlyOne<K extends "purchase-order" | "result" | "settlement">(
  client: MarketClient,
  { documents }: Receipt,
  kind: K,
): Payload<K> | null {
  const [found, ...others] = documents.filter((each) => each.kind === kind);
  if (!found || others.length > 0) return null;
  const parsed = parseDocumentOf(client.crypto, kind, found.envelope);
  return parsed.ok ? parsed.document.payload : null;
}

function orderedBy({ crypto }: MarketClient, purchase: Payload<"purchase-order"> | null): Payload<"order"> | null {
  const parsed = purchase && parseDocumentOf(crypto, "order", purchase.order);
  return parsed?.ok ? parsed.document.payload : null;
}

/** Somebody doubted it, whatever came of that. */
const isDoubted = ({ documents }: Receipt): boolean => documents.some(({ kind }) => KINDS.some((each) => each === kind && isDoubt(each)));

const isAlone = ({ replicas = 1, segment = false, judges, egress = "none" }: Wants): boolean =>
  replicas === 1 && !segment && judges === undefined && egress === "none";

const textOfCondition = ({ key, op, value }: Condition): string => JSON.stringify([key, op, String(value)]);
/** That a server can do several runs says nothing of who is trusted. */
const conditionsText = (all: readonly Condition[]): string =>
  all
    .map(textOfCondition)
    .filter((each) => each !== textOfCondition(DOES_RUNS))
    .join();

/** Who is trusted with the work, and how far, is what is asked for now. */
function isAskedAlike(order: Payload<"order">, wanted: Wants): boolean {
  const { driver, assurance, on, conditions, egress, replicas, segment, judges } = order;
  const isPlain = driver === driverOf(wanted) && egress === "none" && replicas === 1 && !segment && judges === null;
  return isPlain && assurance === wanted.assurance && on === wanted.on && conditionsText(conditions) === conditionsText(wanted.conditions);
}

/** One that was drawn for an audit may be a wrong one: nobody has run it again yet. */
const endedWell = (result: Payload<"result">, { reason, audited }: Payload<"settlement">): boolean =>
  audited !== true && reason === "completed" && result.reason === "completed" && result.exitCode === 0;

/** Files that nobody wants may be missing. */
function hasFiles({ crypto }: MarketClient, { tree, files }: KeptRun, wantsFiles: boolean): boolean {
  return tree.every((entry) => {
    if (entry.kind !== "file" || entry.size === 0 || !wantsFiles) return true;
    const bytes = files.get(entry.digest);
    return bytes?.length === entry.size && toHex(crypto.sha256(bytes)) === entry.digest;
  });
}

/** Of a lease of its own: what was ordered, and every byte but those of its files. */
function isAsSigned({ crypto }: MarketClient, { spec, tree, printed }: KeptRun, { order, result }: Signed): boolean {
  const digestOf = (bytes: Uint8Array): string => toHex(crypto.sha256(bytes));
  return (
    order.jobHash === jobHashOf(crypto, spec) &&
    ifCanonical(() => digestOf(canonicalBytes(tree))) === result.outputDigest &&
    digestOf(printed.stdout) === result.stdoutDigest &&
    digestOf(printed.stderr) === result.stderrDigest
  );
}

interface Signed {
  order: Payload<"order">;
  result: Payload<"result">;
}

/** What is kept of the work: of a lease of its own, or of one of several runs. */
async function keptRun(client: MarketClient, kept: KeptRuns, digest: string): Promise<Kept | null> {
  const text = await kept.read(digest);
  const alone = text === null ? null : keptRunIn(text);
  if (alone) return { run: alone, isSigned: (signed) => isAsSigned(client, alone, signed) };
  const part = text === null ? null : await keptPartIn(client.crypto, kept, text);
  return part && { run: part.run, isSigned: ({ order, result }) => isSigned(client.crypto, part, order, result) };
}

interface Kept {
  run: KeptRun;
  isSigned(signed: Signed): boolean;
}

interface Asked {
  /** Of the work. */
  digest: string;
  wanted: Wants;
  /** Whether its files are wanted, too. */
  wantsFiles: boolean;
}

/** Null where there is none, or anything about it is not as it must be: then the work is run. */
async function reusable(client: MarketClient, kept: KeptRuns, { digest, wanted, wantsFiles }: Asked): Promise<Reusable | null> {
  const { crypto, pins, identity } = client;
  if (!runsAlike(driverOf(wanted), wanted.assurance) || !isAlone(wanted)) return null;
  const found = await keptRun(client, kept, digest);
  if (!found || workDigest(crypto, found.run.spec) !== digest) return null;
  const { run } = found;
  const receipt = zReceipt.safeParse(await kept.receipt(run.lease)).data;
  if (receipt?.lease !== run.lease || isDoubted(receipt)) return null;
  const documents = await kept.signedAbout(run.lease, pins.origin);
  const verification = verifyReceipt(crypto, pins, receipt, { documents, party: identity.party });
  if (!verification.ok || verification.whose?.customer !== identity.party) return null;
  const order = orderedBy(client, onlyOne(client, receipt, "purchase-order"));
  const result = onlyOne(client, receipt, "result");
  const settlement = onlyOne(client, receipt, "settlement");
  if (!order || !result || !settlement || !found.isSigned({ order, result })) return null;
  const isRight = isAskedAlike(order, wanted) && endedWell(result, settlement) && hasFiles(client, run, wantsFiles);
  return isRight ? { run, result, settlement, verification } : null;
}

/** Its files, which were compared with what was signed. */
export const filesOf =
  ({ run: { files } }: Reusable) =>
  async ({ digest }: TreeFile): Promise<Uint8Array> =>
    files.get(digest)?.slice() ?? new Uint8Array();

const NOTHING_DUE = { dueNanos: 0n, ownerNanos: 0n, feeNanos: 0n, refundNanos: 0n, billableFuel: 0n, billableMs: 0 };

/** The earlier result as this call's own, which has cost nothing. `write`: takes its files; null: the program wants them. */
async function resultAgain(found: Reusable, write: Planned["write"] | null): Promise<JobResult> {
  const { run, result, settlement, verification } = found;
  const { reason, blame, at, audited } = settlement;
  if (write) await write(run.tree, filesOf(found));
  return {
    ...{ lease: run.lease, ok: true, exitCode: result.exitCode, detail: result.detail, bill: NOTHING_DUE },
    end: { reason, blame, at, audited },
    ...{ stdout: textOf(run.printed.stdout), stderr: textOf(run.printed.stderr), printed: run.printed, isCut: false },
    files: write ? listed(run.tree) : await collected(run.tree, filesOf(found)),
    ...{ delivered: "server", verification },
  };
}

/** What the same work came to; null: it has to be run. */
export async function resultOfSame(
  client: MarketClient,
  runs: KeptRuns,
  { planned, wanted }: { planned: Planned; wanted: Wanted },
): Promise<JobResult | null> {
  if (!runsAlike(driverOf(wanted), wanted.assurance)) return null;
  const digest = plannedDigest(client.crypto, planned);
  const found = await reusable(client, runs, { digest, wanted, wantsFiles: planned.files !== "left" });
  return found && resultAgain(found, writeOf(planned));
}
