/** `xeno lease show`: one lease, where it stands, and what can be done. */
import type { JobSpec, LeaseView } from "@xenoservers/protocol";
import { MarketError, fetchBound, readKeptJob, shellWord, shortId, type MarketClient } from "@xenoservers/sdk";
import { openClient } from "../input/client.ts";
import type { LeaseShowInput } from "../input/verbs/lease.ts";
import { endLine, nextCommand } from "../output/lease-lines.ts";
import { bold, print, printJson } from "../output/terminal.ts";
import { duration, money, putTimesAs, when } from "../output/ui.ts";
import { stoppedLines } from "../proof/why-stopped.ts";

export async function leaseShow({ lease: id, timeFormat, json }: LeaseShowInput): Promise<void> {
  putTimesAs(timeFormat);
  const { client, context } = await openClient("read");
  const lease = await client.read("lease", { params: { id } });
  if (json) return printJson(lease);
  for (const line of showLines(lease, context.currency, await stoppedLines(client, lease))) print(line);
  // a machine has one run, and in the end a long receipt
  const mayHaveRuns = lease.customer === context.party && lease.terms === "on-result";
  for (const line of runLines(mayHaveRuns ? await runsOf(client, lease.id) : [])) print(line);
}

type Runs = NonNullable<JobSpec["runs"]>;

/** Of a lease of several inputs, where its job was sent from here: nobody else knows what they are. */
async function runsOf(client: MarketClient, lease: string): Promise<Runs> {
  try {
    const { order } = await fetchBound(client, lease);
    return (await readKeptJob(order.payload.jobHash)).spec.runs ?? [];
  } catch (error) {
    // it is of another machine's, or not kept any more, or has no purchase order that can be read now
    if (error instanceof MarketError) return [];
    throw error;
  }
}

/** Each by its number, as a map's lines and its `--json` name it. */
export const runLines = (runs: Runs): string[] => runs.map(({ args }, index) => `run ${index}`.padEnd(9) + args.map(shellWord).join(" "));

export function showLines(lease: LeaseView, currency: string, stopped: readonly string[] = []): string[] {
  const { id, state, label, server, terms, result, delivery, deadlineAt } = lease;
  const opened = lease.openedAt === null ? "" : `, opened ${when(lease.openedAt)}`;
  return [
    `${bold(shortId(id))}  ${state}${label === "" ? "" : `  ${label}`}`,
    `server   ${server}`,
    `rate     ${money(lease.ratePerHourNanos, currency)}/h, terms ${terms}`,
    `hold     ${money(lease.holdNanos, currency)} for at most ${duration(lease.durationMsMax)}`,
    `issued   ${when(lease.issuedAt)}${opened}, used ${duration(lease.usedMs)}`,
    ...(result && !lease.end
      ? [`result   ${result.reason}${result.exitCode === null ? "" : ` (${result.exitCode})`}, signed ${when(result.at)}`]
      : []),
    ...(delivery ? [deliveryLine(delivery)] : []),
    ...(deadlineAt !== null && !lease.end ? [`until    ${when(deadlineAt)}: then the broker acts by itself`] : []),
    ...(lease.end ? [`end      ${endLine(lease, currency)}`] : []),
    ...stopped,
    ...windowLines(lease),
    ...doubtLines(lease, currency),
    `next     ${nextCommand(lease)}`,
  ];
}

const deliveryLine = ({ by, at }: NonNullable<LeaseView["delivery"]>): string =>
  by === "customer"
    ? `bytes    receipted by its customer ${when(at)}`
    : `bytes    sealed with the broker since ${when(at)}: xeno lease result`;

function windowLines({ id, state, end, deadlineAt }: LeaseView): string[] {
  if (state !== "settled" || !end) return [];
  const until = when(deadlineAt ?? end.windowEndsAt);
  return [`window   doubts until ${until}: xeno lease object ${shortId(id)} --reason …, or xeno dispute ${shortId(id)}`];
}

/** Who is to judge, and until when its run may be ordered. */
const drawLines = ({ draw }: LeaseView): string[] =>
  draw ? [`referee  ${shortId(draw.referee)}, drawn in round ${draw.round} of ${draw.candidates.length}`] : [];

function doubtLines(lease: LeaseView, currency: string): string[] {
  const { id, state, objection, trace, deadlineAt } = lease;
  if (state === "convicted") {
    const by = deadlineAt === null ? "" : ` until ${when(deadlineAt)}`;
    return [
      `verdict  wrong; its pay is back, its stake waits${by} for its owner's appeal: xeno lease appeal ${shortId(id)}`,
      ...drawLines(lease),
    ];
  }
  if (state !== "disputed") return [];
  const until = deadlineAt === null ? "" : ` until ${when(deadlineAt)}`;
  const deposit = (nanos: string): string => `deposit ${money(nanos, currency)}`;
  const by = objection ? `objected by the ${objection.by} ${when(objection.at)}: the operator rules${until}` : "";
  const lines = objection ? [`${by}; ${deposit(objection.depositNanos)}`] : [];
  if (!trace) return lines;
  const brought = trace.deadlineAt === null ? "" : ` until ${when(trace.deadlineAt)}`;
  const what = trace.answered ? `what the referee comes to can be brought${brought}` : `the server has to sign its states${brought}`;
  return [...lines, `doubted  ${what}; ${deposit(trace.depositNanos)}`, ...drawLines(lease)];
}
