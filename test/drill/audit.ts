/** What must be so after a drill, looked up in the database, at the broker and in what the customers' programs said. */
import type { LeaseView } from "@xenoservers/protocol";
import { allOf, fetchReceipt, type MarketClient } from "@xenoservers/sdk";
import { verifyReceipt } from "@xenoservers/verify";
import { check, openStore } from "@xenoservers/xenocorp";
import { PATIENT } from "../process/settings.ts";
import { until } from "../until.ts";
import { eventsAfter, type Cursor } from "./event-watch.ts";
import type { CustomerSays } from "./setting.ts";

/** What one customer's programs said, of which some were killed. */
export interface Told {
  bound: string[];
  ended: Extract<CustomerSays, { said: "ended" }>[];
}

interface DrillAudit {
  dataFolder: string;
  databaseUrl: string;
  creditNanos: bigint;
  customers: { client: MarketClient; told: Told }[];
  /** The cursors that each customer was shown, once nothing more happens. */
  seen(): Promise<Cursor[][]>;
  falsify?(databaseUrl: string): Promise<void>;
  say(line: string): void;
}

/** Waits until nothing is held any more: a hold that is never cleared hangs here, and the wait says so. */
async function untilCleared({ dataFolder, databaseUrl }: DrillAudit): Promise<string[]> {
  const { store, close } = await openStore({ dataFolder, databaseUrl });
  await until(async () => (await store.audit()).held === 0n);
  const servers = await store.listedServers(0);
  const owners = await store.load(
    "party",
    servers.map(({ owner }) => owner),
  );
  const free = await store.balances(servers.map(({ id }) => `${id}/`));
  await close();
  const hurt = [...owners.values()].flatMap(({ data: { id, record } }) =>
    record.ownerFailures + record.convicted > 0 ? [`the honest owner ${id} has the record ${JSON.stringify(record)}`] : [],
  );
  const leased = [...free].flatMap(([key, amount]) => (key.endsWith("/leased") && amount !== 0n ? [`${key} is ${amount}`] : []));
  return [...hurt, ...leased];
}

/** Of one customer: every lease that was agreed is there and over, and every one that its program lived to see is what it must be. */
async function leaseProblems(client: MarketClient, { bound, ended }: Told, leases: readonly LeaseView[]): Promise<string[]> {
  const there = new Map(leases.map((lease) => [lease.id, lease]));
  const seen = new Map(ended.map((each) => [each.lease, each]));
  const problems = [
    ...bound.filter((id) => !there.has(id)).map((id) => `lease ${id} is lost`),
    ...ended.flatMap(({ lease, wrong }) => (wrong === "" ? [] : [`lease ${lease}: ${wrong}`])),
  ];
  for (const { id, state, end } of leases) {
    if (!end && state !== "lapsed") problems.push(`lease ${id} is ${state} still`);
    if (end?.blame === "owner" || end?.blame === "broker") problems.push(`lease ${id} ended ${end.reason}, ${end.blame} to blame`);
    const told = seen.get(id);
    if (told && told.dueNanos !== end?.dueNanos)
      problems.push(`lease ${id} costs ${end?.dueNanos}, its customer was told ${told.dueNanos}`);
    if (!end) continue;
    const receipt = verifyReceipt(client.crypto, client.pins, await fetchReceipt(client, id, PATIENT.graceMs), {
      customerKey: client.identity.signer.publicKey,
    });
    for (const { check: what, status, says } of receipt.lines) if (status === "failed") problems.push(`lease ${id}: ${what}: ${says}`);
  }
  return problems;
}

async function eventProblems(client: MarketClient, shown: readonly Cursor[], leases: readonly LeaseView[]): Promise<string[]> {
  const all: Awaited<ReturnType<typeof eventsAfter>> = [];
  for (let page = await eventsAfter(client, undefined); page.length > 0; page = await eventsAfter(client, all.at(-1)?.cursor))
    all.push(...page);
  const problems: string[] = [];
  const cursors = all.map(({ cursor }) => cursor);
  if (JSON.stringify(cursors) !== JSON.stringify(shown)) {
    const known = new Set(shown);
    const missed = cursors.filter((cursor) => !known.has(cursor)).length;
    problems.push(`of ${cursors.length} events a reader was shown ${shown.length}, ${missed} of them never`);
  }
  for (const { id, end } of leases)
    for (const kind of ["lease-bound", ...(end ? ["lease-settled"] : [])]) {
      const times = all.filter((event) => event.lease === id && event.kind === kind).length;
      if (times !== 1) problems.push(`${kind} of lease ${id} was told ${times} times`);
    }
  return problems;
}

/** Everything that is wrong, in words; empty when nothing is. */
export async function auditDrill(drill: DrillAudit): Promise<string[]> {
  const problems = await untilCleared(drill);
  const seen = await drill.seen();
  await drill.falsify?.(drill.databaseUrl);
  let count = 0;
  let events = 0;
  for (const [i, { client, told }] of drill.customers.entries()) {
    const leases = await allOf(client, "leases", {});
    problems.push(...(await leaseProblems(client, told, leases)), ...(await eventProblems(client, seen[i] ?? [], leases)));
    const due = leases.reduce((sum, { end }) => sum + BigInt(end?.dueNanos ?? 0), 0n);
    const { balances } = await client.read("accounts");
    const left = BigInt(balances.available);
    if (left + due !== drill.creditNanos || balances.held !== "0")
      problems.push(`${left} left, ${balances.held} held and ${due} due are not the ${drill.creditNanos} that were credited`);
    count += leases.length;
    events += seen[i]?.length ?? 0;
  }
  const { problems: books, logSize, pending } = await check(drill);
  drill.say(`${count} leases, ${events} events, ${logSize} leaves in the log, ${pending} pending`);
  return [...problems, ...books];
}
