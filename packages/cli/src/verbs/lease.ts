/** Leases one has: ps, show, stop, extend, object, attach, logs, fetch, events, export. */
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { TERMS, isLive } from "@xenoservers/market";
import type { EventView, LeaseView } from "@xenoservers/protocol";
import { LeaseSession, fetchBound, openLink, type MarketClient } from "@xenoservers/sdk";
import { exitCodeOf, fetchInto, keepReceipt } from "../output/deliver.ts";
import { openClient } from "../input/home.ts";
import { parseDurationMs } from "../input/parse.ts";
import { UserError, bold, countOf, dim, duration, gigaFuel, green, money, print, printJson, red, say, shortId, table, when, yellow } from "../output/ui.ts";

interface Json {
  json?: boolean;
}

export async function ps({ all, json }: Json & { all?: boolean }): Promise<void> {
  const { client, context } = await openClient();
  const { leases } = await client.read("leases", { query: { live: all ? "false" : "true", limit: 200 } });
  if (json) return printJson({ leases });
  const mine = (lease: LeaseView): boolean => lease.customer === context.party;
  table(
    ["lease", "as", "state", "server", "per hour", "used", "label", "ended"],
    leases.map((lease) => [
      shortId(lease.id),
      mine(lease) ? "customer" : "owner",
      lease.state,
      shortId(lease.server),
      money(lease.ratePerHourNanos, context.currency),
      duration(lease.usedMs),
      lease.label,
      lease.end ? `${lease.end.reason}${lease.end.exitCode === null ? "" : ` (${lease.end.exitCode})`}` : "",
    ]),
  );
  const rate = leases.filter((lease) => mine(lease) && isLive(lease.state)).reduce((sum, lease) => sum + BigInt(lease.ratePerHourNanos), 0n);
  say(`running leases cost you ${money(rate, context.currency)} per hour in all`);
}

/** Why it ended, who is to blame, what it cost, what to do next: one line. */
export function endLine(lease: LeaseView, currency: string): string {
  const { end } = lease;
  if (!end) return `lease ${shortId(lease.id)} is ${lease.state}`;
  const colour = end.reason === "completed" && end.exitCode === 0 ? green : end.blame === "nobody" ? yellow : red;
  const how = end.reason === "completed" ? `exit ${end.exitCode}` : `${end.reason}: ${TERMS[end.reason].says}`;
  const blame = end.blame === "nobody" ? "" : `  blame ${end.blame}`;
  return `${colour(how)}${blame}  ${money(end.dueNanos, currency)} for ${lease.terms === "on-result" ? gigaFuel(BigInt(end.billableFuel)) : duration(end.billableMs)}, ${money(end.refundNanos, currency)} back`;
}

function nextCommand(lease: LeaseView): string {
  const id = shortId(lease.id);
  if (isLive(lease.state)) return `xeno attach ${id}`;
  if (lease.end && TERMS[lease.end.reason].retryFree) return "run it again: this try cost what stands above and nothing more";
  return lease.end ? `xeno verify ${id}` : "xeno ps";
}

export async function leaseShow(id: string, { json }: Json): Promise<void> {
  const { client, context } = await openClient();
  const lease = await client.read("lease", { params: { id } });
  if (json) return printJson(lease);
  print(`${bold(shortId(lease.id))}  ${lease.state}${lease.label === "" ? "" : `  ${lease.label}`}`);
  print(`server   ${lease.server}`);
  print(`rate     ${money(lease.ratePerHourNanos, context.currency)}/h, terms ${lease.terms}`);
  print(`hold     ${money(lease.holdNanos, context.currency)} for at most ${duration(lease.durationMsMax)}`);
  print(`issued   ${when(lease.issuedAt)}${lease.openedAt === null ? "" : `, opened ${when(lease.openedAt)}`}, used ${duration(lease.usedMs)}`);
  if (lease.end) {
    print(`end      ${endLine(lease, context.currency)}`);
    if (lease.state === "settled") print(`window   objections until ${when(lease.end.windowEndsAt)}: xeno lease object ${shortId(lease.id)} --reason …`);
  }
  if (lease.trace && lease.state === "disputed") {
    const { answered, deadlineAt, depositNanos } = lease.trace;
    const until = deadlineAt === null ? "" : ` until ${when(deadlineAt)}`;
    const what = answered ? `the server has signed its states; the referee's segment can be brought${until}` : `the server has to sign its states${until}`;
    print(`doubted  ${what}; deposit ${money(depositNanos, context.currency)}`);
  }
  print(`next     ${nextCommand(lease)}`);
}

export async function leaseStop(id: string, { json }: Json): Promise<void> {
  const { client, context } = await openClient();
  const lease = await client.read("lease", { params: { id } });
  if (isLive(lease.state)) await client.act("stop", { lease: lease.id, party: context.party, reason: "stopped by hand" });
  else if (!json) say("it had ended already");
  let after = await client.read("lease", { params: { id: lease.id } });
  for (const deadline = Date.now() + 40_000; isLive(after.state) && Date.now() < deadline; after = await client.read("lease", { params: { id: lease.id } }))
    await new Promise((resolve) => setTimeout(resolve, 200));
  if (json) printJson(after);
  else print(endLine(after, context.currency));
}

export async function leaseExtend(id: string, by: string, { json }: Json): Promise<void> {
  const { client, context } = await openClient();
  const lease = await client.read("lease", { params: { id } });
  const answer = await client.act("extension", {
    lease: lease.id,
    party: context.party,
    durationMsMax: lease.durationMsMax + parseDurationMs(by, "extension"),
    previous: lease.lastAmendment ?? lease.id,
  });
  if (json) printJson(answer);
  else print(`may run ${duration(Number(answer["durationMsMax"]))} in all; ${money(String(answer["holdNanos"]), context.currency)} held`);
}

export async function leaseObject(id: string, { reason, expected }: { reason: string; expected: string }): Promise<void> {
  const { client, context } = await openClient();
  const lease = await client.read("lease", { params: { id } });
  await client.act("objection", { lease: lease.id, party: context.party, expectedDueNanos: expected, reason });
  print("the owner's pay is frozen until the operator rules");
}

async function follow(client: MarketClient, id: string, show: boolean) {
  const lease = await client.read("lease", { params: { id } });
  const bound = await fetchBound(client, lease.id);
  let session: LeaseSession | null = null;
  const link = openLink(client, { onUp: () => session?.hint(), onEvent: (event) => session?.hint(event) });
  session = new LeaseSession(
    client,
    bound,
    null,
    show
      ? { onOutput: (stream, bytes) => void process[stream].write(bytes), onState: (state) => void (state === "reconnecting" && say(dim("reconnecting"))) }
      : {},
    link,
  );
  return {
    session,
    close(): void {
      session.close();
      link.stop();
    },
  };
}

export async function attach(id: string): Promise<void> {
  const { client, context } = await openClient();
  const { session, close } = await follow(client, id, true);
  const left = new Promise<null>((resolve) => process.once("SIGINT", () => resolve(null)));
  const ended = await Promise.race([Promise.all([session.settled(), session.delivered()]), left]);
  close();
  if (!ended) return say(`it runs on; follow it with: xeno attach ${shortId(session.lease)}`);
  say(endLine(ended[0], context.currency));
  await keepReceipt(client, ended[0].id, 0);
  process.exitCode = exitCodeOf(ended[0]);
}

export async function logs(id: string, { follow: keep }: { follow?: boolean }): Promise<void> {
  const { client } = await openClient();
  if (keep) return attach(id);
  const lease = await client.read("lease", { params: { id } });
  const { session, close } = await follow(client, id, true);
  if (isLive(lease.state)) await new Promise((resolve) => setTimeout(resolve, 1_000));
  else await Promise.race([session.delivered(), new Promise((resolve) => setTimeout(resolve, 10_000))]);
  close();
}

export async function fetchResults(id: string, { out }: { out: string }): Promise<void> {
  const { client } = await openClient();
  const { session, close } = await follow(client, id, false);
  const tree = await Promise.race([fetchInto(session, out, []), new Promise<null>((resolve) => setTimeout(() => resolve(null), 30_000))]);
  close();
  if (!tree) throw new UserError("the server is not reached, or the job has not ended; try again later");
  print(`${countOf(tree.filter(({ kind, path: at }) => kind === "file" && at.startsWith("out/")).length, "file")} in ${out}`);
}

export async function events({ follow: keep, after, json }: Json & { follow?: boolean; after?: string }): Promise<void> {
  const { client } = await openClient();
  const show = (event: EventView): void =>
    json
      ? printJson(event)
      : print(`${event.cursor}  ${when(event.at)}  ${event.kind}  ${event.lease ? shortId(event.lease) : ""}  ${JSON.stringify(event.data)}`);
  for (let cursor = after; ;) {
    const page = await client.read("events", { query: { limit: 200, ...(cursor === undefined ? {} : { after: cursor }) } });
    for (const event of page.events) show(event);
    cursor = page.events.at(-1)?.cursor ?? cursor;
    if (page.events.length === 200) continue;
    if (!keep) return;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

export async function exportAll(folder: string): Promise<void> {
  const { client } = await openClient();
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const [me, accounts, statement, { leases }] = await Promise.all([
    client.read("whoami"),
    client.read("accounts"),
    client.read("statement", { query: { limit: 1000 } }),
    client.read("leases", { query: { limit: 1000 } }),
  ]);
  const put = (name: string, value: unknown): Promise<void> => writeFile(path.join(folder, name), JSON.stringify(value, null, 1), { mode: 0o600 });
  await Promise.all([put("party.json", me), put("accounts.json", accounts), put("statement.json", statement), put("leases.json", leases)]);
  for (const lease of leases) await put(`receipt-${lease.id}.json`, await client.read("receipt", { params: { id: lease.id } }));
  await put("checkpoint.json", { checkpoint: await client.read("checkpoint") });
  print(`${countOf(leases.length, "lease")} with receipts, statement and accounts are in ${folder}`);
}
