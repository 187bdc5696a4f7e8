/**
 * How each line comes to its numbers: what was stated, what bounds it, and what follows. All amounts are the fold's own; nothing is
 * decided here. Times are ms of log time. Who controls the inputs: as for the lines themselves.
 */
import {
  TERMS,
  costNanos,
  drawPpm,
  egressCostNanos,
  formatMoney,
  fuelCostNanos,
  meteringOf,
  mostUsedMs,
  priceVectorOf,
  type Lease,
  type LeaseEnd,
} from "@xenoservers/market";
import type { Checking } from "./checking.ts";
import type { Sum } from "./line.ts";
import type { Check } from "./lines.ts";

const money = (nanos: bigint | string): string => formatMoney(BigInt(nanos));
const sum = (what: string, is: string, how: string): Sum => ({ what, is, how });
const BASIS_POINTS = 10_000;

function ofPurchase({ told }: Checking, lease: Lease): Sum[] {
  const content = told.begun?.fact.content;
  if (!content) return [];
  const { payload, order } = content;
  const { price, fuelMax, durationMsMax, fuelBound, timeBound, egressMibMax, feeBasisPoints } = payload;
  const share = lease.replicas > 1 ? `, shared by ${lease.replicas} replicas` : "";
  const budget = `a budget of ${money(order.payload.budgetNanos)}${share}`;
  const [most, work] =
    meteringOf(lease.terms) === "fuel"
      ? [
          sum("most fuel", fuelMax, `${order.payload.fuelMax} ordered, within ${budget} (${fuelBound})`),
          `${fuelMax} fuel × ${money(price.gigaFuelNanos)} a giga-fuel`,
        ]
      : [
          sum("longest time", `${durationMsMax} ms`, `${order.payload.durationMsMax} ms ordered, within ${budget} (${timeBound})`),
          `${durationMsMax} ms × ${sizes(lease)}`,
        ];
  const egress = egressMibMax > 0 ? `, and ${egressMibMax} MiB of egress × ${money(price.egressGibNanos)} a GiB` : "";
  const feeMax = `at most ${order.payload.feeBasisPointsMax / 100} % by the order; it is part of what is due`;
  return [
    most,
    sum("hold", money(payload.holdNanos), `${work}${egress}`),
    sum("stake", money(payload.stakeNanos), `of the owner, locked for '${lease.assurance}'`),
    sum("fee", `${feeBasisPoints / 100} %`, feeMax),
  ];
}

function sizes({ resources: { vcpu, memoryMib, diskMib }, price }: Lease): string {
  const memory = `${memoryMib} MiB memory at ${money(price.memoryGibNanosPerSecond)} a GiB`;
  const disk = `${diskMib} MiB disk at ${money(price.diskGibNanosPerSecond)} a GiB`;
  return `(${vcpu} vCPU at ${money(price.vcpuNanosPerSecond)}, ${memory}, ${disk}) a second`;
}

function ofOpening({ told }: Checking, lease: Lease): Sum[] {
  const [acceptance] = told.factsOf("acceptance");
  if (!acceptance) return [];
  const { acceptWithinMs } = lease.timings;
  const away = lease.gaps.reduce((ms, { from, to }) => ms + to - from, 0);
  const gaps = away > 0 ? `, and ${away} ms in which no broker was there` : "";
  const accepted = sum(
    "accepted",
    `${acceptance.at - lease.issuedAt} ms`,
    `after the purchase order; ${acceptWithinMs} ms were given${gaps}`,
  );
  return lease.openedAt === null
    ? [accepted]
    : [accepted, sum("opened", `${lease.openedAt - acceptance.at} ms`, "after the acceptance: the meter's bound begins")];
}

/** When what is billed ends: at the stop, or at the result, or at the closing. */
function openMs(lease: Lease): [ms: number, until: string] | null {
  const { openedAt, stop, result, closing } = lease;
  const [at, until] = stop ? [stop.at, "stop"] : result ? [result.at, "result"] : [closing?.at ?? null, "closing"];
  return openedAt === null || at === null ? null : [mostUsedMs(lease, at), until];
}

function ofUse({ told }: Checking, lease: Lease): Sum[] {
  const receipted = told.factsOf("claim-receipt").map(({ content: { sequence, usedMs, egressBytes }, at }) => {
    const egress = egressBytes > 0 ? ` and ${egressBytes} bytes of egress` : "";
    return sum(`claim ${sequence}`, `${usedMs} ms${egress}`, `receipted ${at - (lease.openedAt ?? at)} ms after the opening`);
  });
  const { count } = told.claims;
  if (count > receipted.length + 1) receipted.push(sum("claims", `${count}`, `each in its place; the first ${receipted.length} are above`));
  const open = openMs(lease);
  const { result } = lease;
  const moves = told
    .factsOf("move")
    .map(({ at, content }) =>
      sum("moved", `${at - (lease.openedAt ?? at)} ms`, `after the opening, to ${content.takeover.payload.server}`),
    );
  const from = lease.metered ? `what was claimed (${lease.metered.usedMs} ms), and from the move` : "from the opening";
  const stated = result ? [sum("result", `${result.usedMs} ms, ${result.fuel} fuel`, "stated by the server")] : [];
  return [...receipted, ...moves, ...stated, ...(open ? [sum("open", `${open[0]} ms`, `${from} to the ${open[1]}, by the log`)] : [])];
}

function ofResult({ told }: Checking): Sum[] {
  const payload = told.documentOf("result")?.payload;
  if (!payload) return [];
  const { jobHash, engine, memoryHash, outputDigest, stdoutDigest, stderrDigest } = payload;
  return [
    sum("job", jobHash, "ordered, and stated by the server"),
    sum("engine", engine, "stated by the server"),
    ...(memoryHash === null ? [] : [sum("memory", memoryHash, "its hash at the end")]),
    ...[sum("files", outputDigest, "digest"), sum("stdout", stdoutDigest, "digest"), sum("stderr", stderrDigest, "digest")],
  ];
}

/** What was used, at its price. */
function work(lease: Lease, end: LeaseEnd): Sum[] {
  const { result, lastClaim, price, resources } = lease;
  const prices = priceVectorOf(price);
  const open = openMs(lease)?.[0] ?? 0;
  const { billableMs, billableFuel, billableEgressBytes } = end;
  const egress = egressCostNanos(prices, BigInt(billableEgressBytes));
  const used =
    meteringOf(lease.terms) === "fuel"
      ? [
          sum(
            "fuel",
            billableFuel,
            `the least of ${result?.fuel ?? 0} stated, ${lease.fuelMax} ordered, what ${open} ms open had time for`,
          ),
          sum(
            "work",
            money(fuelCostNanos(prices, BigInt(billableFuel))),
            `${billableFuel} fuel × ${money(price.gigaFuelNanos)} a giga-fuel`,
          ),
        ]
      : [
          sum(
            "time",
            `${billableMs} ms`,
            `the least of ${result?.usedMs ?? lastClaim?.usedMs ?? 0} stated, ${lease.durationMsMax} ordered, ${open} open`,
          ),
          sum("work", money(costNanos(resources, prices, billableMs)), `${billableMs} ms × ${sizes(lease)}`),
        ];
  if (billableEgressBytes === 0) return used;
  return [...used, sum("egress", money(egress), `${billableEgressBytes} bytes × ${money(price.egressGibNanos)} a GiB`)];
}

const DUE = { used: "work and egress", cancellation: "the least that a reserved slot costs", nothing: "nothing is paid for this ending" };

function ofBill(_: Checking, lease: Lease): Sum[] {
  const { end } = lease;
  if (!end) return [];
  const pay = TERMS[end.reason].pay[lease.terms];
  const hold = money(lease.holdNanos);
  return [
    ...(pay === "used" ? work(lease, end) : []),
    sum("due", money(end.dueNanos), `${end.reason}, ${lease.terms}: ${DUE[pay]}, at most the hold of ${hold}`),
    sum("fee", money(end.feeNanos), `due × ${lease.feeBasisPoints} / ${BASIS_POINTS}, rounded down`),
    sum("owner", money(end.ownerNanos), "due − fee"),
    sum("refund", money(end.refundNanos), `hold of ${hold} − due`),
    sum("window", `${end.windowEndsAt - end.at} ms`, "after the closing, for objections and disputes"),
  ];
}

function ofDispute(_: Checking, { objection, trace, final }: Lease): Sum[] {
  const whose = (from: string, of: string): string => `put down by the ${from} for its ${of === "trace" ? "doubt" : "objection"}`;
  return [
    ...(objection ? [sum("deposit", money(objection.depositNanos), whose(objection.by, "objection"))] : []),
    ...(trace ? [sum("deposit", money(trace.depositNanos), `${whose("customer", "trace")}, states every ${trace.step} fuel`)] : []),
    ...(final?.deposits ?? []).map(({ nanos, from, to, of }) => sum("goes to", to, `${money(nanos)} ${whose(from, of)}`)),
    ...(final ? [sum("owner", money(final.ownerNanos), final.why), sum("back", money(final.backNanos), "to the customer")] : []),
  ];
}

function ofVerdict({ told }: Checking, lease: Lease): Sum[] {
  const payload = told.documentOf("verdict")?.payload;
  const { end } = lease;
  if (!payload || !end) return [];
  const part = payload.segment === null ? "the whole job" : `segment ${payload.segment}`;
  return [
    sum("judged", part, `by ${payload.referee}`),
    sum("back", money(payload.refundNanos), `owner's ${money(end.ownerNanos)} + fee ${money(end.feeNanos)}`),
    sum("stake taken", money(payload.slashedNanos), `all that was locked: ${money(lease.stakeNanos)}`),
  ];
}

function ofAudit(_: Checking, { end, auditPpm, stakeNanos }: Lease): Sum[] {
  if (!end || end.audited === null) return [];
  const byStake = `${money(end.dueNanos)} due against ${money(stakeNanos)} of stake`;
  return [
    sum(
      "rate",
      `${drawPpm(auditPpm, BigInt(end.dueNanos), BigInt(stakeNanos))} in a million`,
      `${auditPpm} by the owner's record; ${byStake}`,
    ),
  ];
}

/** By line. */
export const COMPUTED: Readonly<Record<Check, (checking: Checking, lease: Lease) => Sum[]>> = {
  ...{ "purchase order": ofPurchase, opening: ofOpening, use: ofUse, result: ofResult, bill: ofBill },
  ...{ dispute: ofDispute, verdict: ofVerdict, audit: ofAudit },
};
