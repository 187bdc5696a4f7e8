/**
 * Looks at the books and leases after every commit and says what is wrong. It shares no code with what it audits: amounts, floors, rates
 * and losses are worked out here again from PROTOCOL sections 6 and 10.
 */
interface Deposit {
  depositNanos: string;
}

interface AuditedLease {
  id: string;
  state: string;
  customer: string;
  owner: string;
  server: string;
  terms: string;
  resources: { vcpu: number; memoryMib: number; diskMib: number };
  price: {
    vcpuNanosPerSecond: string;
    memoryGibNanosPerSecond: string;
    diskGibNanosPerSecond: string;
    gigaFuelNanos: string;
    egressGibNanos: string;
  };
  fuelMax: string;
  egressMibMax: number;
  holdNanos: string;
  stakeNanos: string;
  openedAt: number | null;
  stop: { at: number } | null;
  result: { at: number; reason: string } | null;
  delivery: { at: number } | null;
  durationMsMax: number;
  cancellationNanos: string;
  objection: Deposit | null;
  trace: Deposit | null;
  /** The server on which room is kept for its referee. */
  seat: string | null;
  end: {
    reason: string;
    blame: string;
    at: number;
    dueNanos: string;
    feeNanos: string;
    ownerNanos: string;
    refundNanos: string;
    billableFuel: string;
  } | null;
  final: { ownerNanos: string; feeNanos: string; backNanos: string; deposits: readonly { nanos: string }[] } | null;
}

export interface Snapshot {
  balances: ReadonlyMap<string, bigint>;
  leases: readonly AuditedLease[];
  /** How many orders wait for room; absent: none. */
  waiting?: number;
}

/** Money of the customer is held; the first six take room on a server. */
const LIVE = ["bound", "accepted", "open", "stopping", "committed", "revealed", "delivering", "ended", "closed"];
const PLACED = LIVE.slice(0, 6);
const OVER = ["final", "lapsed"];
const UNBOUNDED = /^(source|sink)\/|\/(allowance|waiting|day\/\d+)$/;
const OWNERS_FAULT = ["owner-stop", "server-failed", "server-unreachable", "not-accepted", "not-started", "not-revealed"];
const UNPAID_ALWAYS = ["server-failed", "not-accepted", "not-started", "not-revealed", "not-delivered", "image-unfetched"];
const UNUSED_SLOT = ["input-missing", "job-refused", "image-refused"];
/** What nobody burns more of in a millisecond, and what a guest's own clock gives it. */
const FUEL_PER_MS = 20_000_000n;
const CLOCK_FUEL_PER_MS = 10_000_000n;
const RESOURCES = ["vcpu", "memoryMib", "diskMib"] as const;

const sumWhere = (balances: ReadonlyMap<string, bigint>, matches: (key: string) => boolean): bigint =>
  [...balances].reduce((sum, [key, amount]) => (matches(key) ? sum + amount : sum), 0n);

/** What all the egress that was ordered costs, rounded up. */
const egressAtMost = ({ egressMibMax, price }: AuditedLease): bigint => (BigInt(egressMibMax) * BigInt(price.egressGibNanos)) / 1024n + 1n;

/** What `ms` of the lease costs, rounded up: nobody may be billed more. */
function atMost(lease: AuditedLease, ms: number): bigint {
  const { resources: r, price: p } = lease;
  const scaled =
    BigInt(r.vcpu) * 1024n * BigInt(p.vcpuNanosPerSecond) +
    BigInt(r.memoryMib) * BigInt(p.memoryGibNanosPerSecond) +
    BigInt(r.diskMib) * BigInt(p.diskGibNanosPerSecond);
  return (scaled * BigInt(Math.max(0, ms))) / 1_024_000n + 1n;
}

/** The first thing that is wrong, in words; null when nothing is. */
export function audit({ balances, leases, waiting = 0 }: Snapshot): string | null {
  const isMoney = (key: string): boolean => !/^(s_[0-9a-f]+\/|source\/capacity$|sink\/allowance$)|\/(allowance|day\/\d+)$/.test(key);
  const money = sumWhere(balances, isMoney);
  if (money !== 0n) return `money is not conserved: all of it together is ${money}`;
  for (const [key, amount] of balances) if (amount < 0n && !UNBOUNDED.test(key)) return `${key} is ${amount}`;

  for (const [whose, taken] of [
    ["the market", balances.get("market/waiting") ?? 0n],
    ["all parties", sumWhere(balances, (key) => /^p_[0-9a-f]+\/waiting$/.test(key))],
  ] as const)
    if (taken !== BigInt(-waiting)) return `${waiting} orders wait, and the places of ${whose} come to ${-taken}`;

  const live = leases.filter(({ state }) => LIVE.includes(state));
  const held = sumWhere(balances, (key) => key.endsWith("/held"));
  const holds = live.reduce((sum, lease) => sum + BigInt(lease.holdNanos), 0n);
  if (held !== holds) return `${held} is held, ${live.length} live leases hold ${holds}`;

  const unreleased = leases.filter(({ state }) => state === "settled" || state === "disputed").map(endOf);
  const pending = sumWhere(balances, (key) => key.endsWith("/pending"));
  const earned = unreleased.reduce((sum, { ownerNanos, feeNanos }) => sum + BigInt(ownerNanos) + BigInt(feeNanos), 0n);
  if (pending !== earned) return `${pending} is pending, settled leases earned ${earned}`;

  const locked = sumWhere(balances, (key) => key.endsWith("/locked"));
  const atStake = leases.filter(({ state }) => !OVER.includes(state)).reduce((sum, lease) => sum + lockedFor(lease), 0n);
  if (locked !== atStake) return `${locked} is locked, stakes and deposits come to ${atStake}`;

  const servers = new Set([...balances.keys()].flatMap((key) => (key.startsWith("s_") ? key.split("/").slice(0, 1) : [])));
  for (const server of servers) {
    for (const resource of RESOURCES) {
      const leased = balances.get(`${server}/${resource}/leased`) ?? 0n;
      const used = leases
        .flatMap((lease) => [
          ...(lease.server === server && PLACED.includes(lease.state) ? [lease] : []),
          ...(lease.seat === server ? [lease] : []),
        ])
        .reduce((sum, lease) => sum + BigInt(lease.resources[resource]), 0n);
      if (leased !== used) return `${server} has ${leased} ${resource} leased in the books, live leases use ${used}`;
    }
  }
  for (const lease of leases) {
    if (!lease.end) continue;
    const wrong = auditEnd(lease, lease.end);
    if (wrong) return `lease ${lease.id.slice(0, 12)} (${lease.terms}, ${lease.end.reason}): ${wrong}`;
  }
  return null;
}

type End = NonNullable<AuditedLease["end"]>;

function endOf({ id, state, end }: AuditedLease): End {
  if (!end) throw new Error(`lease ${id.slice(0, 12)} is ${state} without an end`);
  return end;
}

/** Who is convicted has had its deposits sorted out, and may still appeal for its stake. */
const lockedFor = ({ state, stakeNanos, objection, trace }: AuditedLease): bigint =>
  state === "convicted" ? BigInt(stakeNanos) : BigInt(stakeNanos) + BigInt(objection?.depositNanos ?? 0) + BigInt(trace?.depositNanos ?? 0);

function auditEnd(lease: AuditedLease, end: End): string | null {
  const due = BigInt(end.dueNanos);
  if (due + BigInt(end.refundNanos) !== BigInt(lease.holdNanos)) return "due and refund are not the hold";
  if (BigInt(end.feeNanos) + BigInt(end.ownerNanos) !== due) return "fee and owner's part are not what is due";
  if (lease.final && BigInt(lease.final.ownerNanos) + BigInt(lease.final.feeNanos) + BigInt(lease.final.backNanos) !== due)
    return "what the owner, the broker and the customer got in the end is not what was due";
  if (UNPAID_ALWAYS.includes(end.reason) && due > 0n) return `the customer paid ${due} for nothing that reached it`;
  if (UNUSED_SLOT.includes(end.reason))
    return due > BigInt(lease.cancellationNanos) ? "more than the cancellation minimum for an unused slot" : null;
  return lease.terms === "on-result" ? auditOnResult(lease, end, due) : auditByInterval(lease, end, due);
}

function auditOnResult(lease: AuditedLease, end: End, due: bigint): string | null {
  if ((OWNERS_FAULT.includes(end.reason) || end.blame === "broker") && due > 0n) return `the customer paid ${due} without a result`;
  if (due > 0n && lease.result?.reason !== end.reason) return `the customer paid ${due} for ${end.reason}, which no result states`;
  const fuel = BigInt(end.billableFuel);
  if (fuel > BigInt(lease.fuelMax)) return `${fuel} fuel was billed, at most ${lease.fuelMax} ordered`;
  const ranMs = BigInt(openMsOf(lease, end));
  if (fuel > ranMs * FUEL_PER_MS) return `${fuel} fuel was billed for ${ranMs} ms`;
  if (["time-limit", "customer-stop"].includes(end.reason) && fuel > ranMs * CLOCK_FUEL_PER_MS)
    return `${fuel} fuel was billed for ${ranMs} ms`;
  const price = (fuel * BigInt(lease.price.gigaFuelNanos)) / 10n ** 9n;
  const owed = price < BigInt(lease.holdNanos) ? price : BigInt(lease.holdNanos);
  return due === owed ? null : `${due} is due for ${fuel} fuel, which costs ${price}`;
}

function auditByInterval(lease: AuditedLease, end: End, due: bigint): string | null {
  const openMs = openMsOf(lease, end);
  const most = atMost(lease, Math.min(openMs, lease.durationMsMax)) + egressAtMost(lease);
  return due > most ? `${due} is due for at most ${openMs} ms and ${lease.egressMibMax} MiB, which cost ${most}` : null;
}

/** From the opening to what ended the billing: a stop, a result, or the closing. */
const openMsOf = ({ openedAt, stop, result }: AuditedLease, end: { at: number }): number =>
  openedAt === null ? 0 : (stop?.at ?? result?.at ?? end.at) - openedAt;

/** After faults have stopped and time has passed: nothing may be left hanging. */
export function auditQuiet({ balances, leases, waiting = 0 }: Snapshot): string | null {
  if (waiting > 0) return `${waiting} orders still wait`;
  const hanging = leases.find(({ state }) => !OVER.includes(state));
  if (hanging) return `lease ${hanging.id.slice(0, 12)} is still ${hanging.state}`;
  const held = sumWhere(balances, (key) => key.endsWith("/held") || key.endsWith("/locked") || key.endsWith("/leased"));
  return held === 0n ? null : `${held} is still held, locked or leased`;
}
