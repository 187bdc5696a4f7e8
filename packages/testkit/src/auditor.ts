/**
 * Looks at the books and leases after every commit and says what is wrong. It shares no code with what it audits: amounts, floors, rates and
 * losses are worked out here again from PROTOCOL sections 6 and 10.
 */
export interface AuditedLease {
  id: string;
  state: string;
  customer: string;
  owner: string;
  server: string;
  terms: string;
  resources: { vcpu: number; memoryMib: number; diskMib: number };
  price: { vcpuNanosPerSecond: string; memoryGibNanosPerSecond: string; diskGibNanosPerSecond: string; gigaFuelNanos: string };
  fuelMax: string;
  holdNanos: string;
  openedAt: number | null;
  stopAt: number | null;
  durationMsMax: number;
  cancellationNanos: string;
  end: { reason: string; blame: string; at: number; dueNanos: string; feeNanos: string; ownerNanos: string; refundNanos: string; billableFuel: string } | null;
}

export interface Snapshot {
  balances: ReadonlyMap<string, bigint>;
  leases: readonly AuditedLease[];
}

const LIVE = ["bound", "open", "stopping"];
const UNBOUNDED = /^(source|sink)\/|\/(allowance|day\/\d+)$/;
const OWNERS_FAULT = ["owner-stop", "server-failed", "server-unreachable", "not-accepted", "not-started", "not-revealed", "broker-failed"];
const UNPAID_ALWAYS = ["server-failed", "not-accepted", "not-started", "not-revealed", "broker-failed"];
const RESOURCES = ["vcpu", "memoryMib", "diskMib"] as const;

const sumWhere = (balances: ReadonlyMap<string, bigint>, matches: (key: string) => boolean): bigint =>
  [...balances].reduce((sum, [key, amount]) => (matches(key) ? sum + amount : sum), 0n);

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
export function audit({ balances, leases }: Snapshot): string | null {
  const isMoney = (key: string): boolean => !/^(s_[0-9a-f]+\/|source\/capacity$|sink\/allowance$)|\/(allowance|day\/\d+)$/.test(key);
  const money = sumWhere(balances, isMoney);
  if (money !== 0n) return `money is not conserved: all of it together is ${money}`;
  for (const [key, amount] of balances) if (amount < 0n && !UNBOUNDED.test(key)) return `${key} is ${amount}`;

  const live = leases.filter(({ state }) => LIVE.includes(state));
  const held = sumWhere(balances, (key) => key.endsWith("/held"));
  const holds = live.reduce((sum, lease) => sum + BigInt(lease.holdNanos), 0n);
  if (held !== holds) return `${held} is held, ${live.length} live leases hold ${holds}`;

  const unreleased = leases.filter(({ state }) => state === "settled" || state === "disputed");
  const pending = sumWhere(balances, (key) => key.endsWith("/pending"));
  const earned = unreleased.reduce((sum, { end }) => sum + BigInt(end!.ownerNanos) + BigInt(end!.feeNanos), 0n);
  if (pending !== earned) return `${pending} is pending, settled leases earned ${earned}`;

  const servers = new Set([...balances.keys()].flatMap((key) => (key.startsWith("s_") ? [key.split("/")[0]!] : [])));
  for (const server of servers) {
    for (const resource of RESOURCES) {
      const leased = balances.get(`${server}/${resource}/leased`) ?? 0n;
      const used = live.filter((lease) => lease.server === server).reduce((sum, lease) => sum + BigInt(lease.resources[resource]), 0n);
      if (leased !== used) return `${server} has ${leased} ${resource} leased in the books, live leases use ${used}`;
    }
  }
  for (const lease of leases) {
    const wrong = lease.end && auditEnd(lease, lease.end);
    if (wrong) return `lease ${lease.id.slice(0, 12)} (${lease.terms}, ${lease.end!.reason}): ${wrong}`;
  }
  return null;
}

function auditEnd(lease: AuditedLease, end: NonNullable<AuditedLease["end"]>): string | null {
  const due = BigInt(end.dueNanos);
  if (due + BigInt(end.refundNanos) !== BigInt(lease.holdNanos)) return "due and refund are not the hold";
  if (BigInt(end.feeNanos) + BigInt(end.ownerNanos) !== due) return "fee and owner's part are not what is due";
  if (UNPAID_ALWAYS.includes(end.reason) && due > 0n) return `the customer paid ${due} though the other side failed`;
  if (lease.terms === "on-result" && OWNERS_FAULT.includes(end.reason) && due > 0n) return `the customer paid ${due} without a result`;
  if (end.reason === "input-missing") return due > BigInt(lease.cancellationNanos) ? "more than the cancellation minimum for an unused slot" : null;
  if (lease.terms === "on-result") {
    const fuel = BigInt(end.billableFuel);
    if (fuel > BigInt(lease.fuelMax)) return `${fuel} fuel was billed, at most ${lease.fuelMax} ordered`;
    const ranMs = Math.min(lease.openedAt === null ? 0 : (lease.stopAt ?? end.at) - lease.openedAt, lease.durationMsMax);
    if (["time-limit", "customer-stop"].includes(end.reason) && fuel > BigInt(ranMs) * 10_000_000n) return `${fuel} fuel was billed for ${ranMs} ms`;
    const price = (fuel * BigInt(lease.price.gigaFuelNanos)) / 10n ** 9n;
    return due === (price < BigInt(lease.holdNanos) ? price : BigInt(lease.holdNanos)) ? null : `${due} is due for ${fuel} fuel, which costs ${price}`;
  }
  const openMs = lease.openedAt === null ? 0 : (lease.stopAt ?? end.at) - lease.openedAt;
  const most = atMost(lease, Math.min(openMs, lease.durationMsMax));
  return due > most ? `${due} is due for at most ${openMs} ms, which cost ${most}` : null;
}

/** After faults have stopped and time has passed: nothing may be left hanging. */
export function auditQuiet({ balances, leases }: Snapshot): string | null {
  const hanging = leases.find(({ state }) => !["final", "lapsed", "disputed"].includes(state));
  if (hanging) return `lease ${hanging.id.slice(0, 12)} is still ${hanging.state}`;
  const held = sumWhere(balances, (key) => key.endsWith("/held") || key.endsWith("/locked") || key.endsWith("/leased"));
  return held === 0n ? null : `${held} is still held, locked or leased`;
}
