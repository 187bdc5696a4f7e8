/** What a cheat would really try: whole schemes, in which everything that its keys sign fits together again. */
import type { EndReason } from "@xenoservers/market";
import type { KeyName } from "./cast.ts";
import { LeaseScript } from "./lease-script.ts";
import { moveOf, type Move } from "./moves.ts";
import type { Rng } from "./rng.ts";
import type { Story } from "./stories.ts";

interface Table {
  story: Story;
  moves: Move[];
  held: ReadonlySet<KeyName>;
  rng: Rng;
}
/** Null where it makes no sense for this lease. */
type Scheme = (table: Table) => string | null;

const find = ({ moves }: Table, label: string): Move | null => moves.find(({ part }) => part.label === label) ?? null;

function cutFrom({ moves }: Table, labels: readonly string[]): boolean {
  const at = moves.findIndex(({ part }) => labels.includes(part.label));
  if (at >= 0) moves.splice(at);
  return at >= 0;
}

/** Goes on with the script as if it had come so far. */
function goOn({ story, moves, rng }: Table, tell: (script: LeaseScript) => unknown, at = moves.length): void {
  const script = new LeaseScript(story.cast, rng, story.script.deal);
  script.parts.push(...moves.slice(0, at).map(({ part }) => part));
  const before = script.parts.length;
  script.now = moves[at - 1]?.at ?? script.now;
  tell(script);
  moves.splice(at, 0, ...script.parts.slice(before).map(moveOf));
}

/** The place before the first of these. */
const before = ({ moves }: Table, labels: readonly string[]): number => {
  const at = moves.findIndex(({ part }) => labels.includes(part.label));
  return at < 0 ? moves.length : at;
};

const ENDS = ["stop", "commitment", "result", "shown", "delivery", "closing", "objection", "trace-request", "dispute"];
const SILENCES: readonly EndReason[] = [
  "server-unreachable",
  "not-started",
  "not-delivered",
  "not-revealed",
  "customer-stop",
  "broker-failed",
  "not-accepted",
];

const SCHEMES: readonly Scheme[] = [
  (table) => {
    const from = table.rng.pick(ENDS);
    const reason = table.rng.pick(SILENCES);
    if (!cutFrom(table, [from])) return null;
    if (table.rng.chance(0.3)) goOn(table, (script) => script.gap(60_000));
    goOn(table, (script) => script.after(table.rng.pick([30_000, 60_000, 90_000])).over(reason));
    return `nothing from ${from} on was heard: ${reason}`;
  },
  (table) => {
    const closing = find(table, "closing");
    if (!closing) return null;
    closing.edit = {
      reason: table.rng.pick(["completed", "server-failed", "customer-stop", "input-missing", "time-limit", "owner-stop", ...SILENCES]),
    };
    return `closed as ${JSON.stringify(closing.edit)}`;
  },
  (table) => {
    const at = before(table, ["delivery", "closing"]);
    if (!find(table, "result")) return null;
    table.moves.splice(at);
    goOn(table, (script) => script.delivered(table.rng.pick(["receipts", "device"])).over());
    return "its bytes were delivered, says the broker";
  },
  (table) => {
    const stop = find(table, "stop");
    if (!stop) return null;
    stop.at += table.rng.pick([-4_000, -1_000, 1_000, 9_000, 60_000]);
    return "the stop at another time";
  },
  (table) => {
    const po = find(table, "purchase-order");
    if (!po) return null;
    po.edit = { feeBasisPoints: table.rng.pick([1, 500, 5_000]), ...(table.rng.chance(0.5) ? { fee: null } : {}) };
    return "a fee that nobody announced";
  },
  (table) => {
    const fee = find(table, "fee");
    if (!fee) return null;
    const late = { ...fee, at: table.moves.at(-1)?.at ?? fee.at };
    const how = table.rng.pick(["by the broker itself", "too late", "nowhere"]);
    if (how === "by the broker itself") fee.by = "orders";
    else fee.isHidden = true;
    if (how === "too late") table.moves.push(late);
    return `the fee announced ${how}`;
  },
  (table) => {
    const po = find(table, "purchase-order");
    const honest = table.story.play.of("purchase-order").document.payload;
    if (!po) return null;
    const price = { ...honest.price, gigaFuelNanos: `${BigInt(honest.price.gigaFuelNanos) * 2n}` };
    po.edit = table.rng.pick([
      { price },
      { holdNanos: `${BigInt(honest.holdNanos) * 2n}` },
      { durationMsMax: honest.durationMsMax * 2 },
      { terms: "by-interval" },
    ]);
    return "a purchase order that costs more";
  },
  (table) => {
    if (!find(table, "opening")) return null;
    goOn(table, (script) => script.extended(1_000_000), before(table, ["result", "commitment", "stop", "closing"]));
    const extension = table.moves.findLast(({ part }) => part.kind === "extension");
    if (extension) extension.by = table.rng.pick([...table.held]);
    return `an extension signed by ${extension?.by}`;
  },
  (table) => {
    if (!find(table, "opening")) return null;
    goOn(
      table,
      (script) => script.stopped(table.rng.pick(["device", "owner"])),
      before(table, ["result", "commitment", "stop", "closing"]),
    );
    const stop = table.moves.find(({ part }) => part.kind === "stop");
    if (!stop) return null;
    stop.by = table.rng.pick([...table.held]);
    if (stop.by === "referee-owner") stop.edit = { party: table.story.cast.refereeOwner };
    return `a stop signed by ${stop.by}`;
  },
  (table) => {
    const settlement = find(table, "settlement");
    const honest = table.story.play.find("settlement") && table.story.play.of("settlement").document.payload;
    if (!settlement || !honest) return null;
    const more = BigInt(table.rng.between(1, 1_000));
    const take = (text: string): string => (BigInt(text) > more ? BigInt(text) - more : 0n).toString();
    const give = (text: string): string => (BigInt(text) + more).toString();
    settlement.edit = table.rng.pick([
      { dueNanos: give(honest.dueNanos), ownerNanos: give(honest.ownerNanos), refundNanos: take(honest.refundNanos) },
      { feeNanos: give(honest.feeNanos), ownerNanos: take(honest.ownerNanos) },
      { dueNanos: take(honest.dueNanos), ownerNanos: take(honest.ownerNanos), refundNanos: give(honest.refundNanos) },
    ]);
    return "another bill";
  },
  (table) => {
    const order = find(table, table.rng.pick(["order", "offer"]));
    if (!order) return null;
    order.by = table.rng.pick([...table.held]);
    order.edit = table.rng.pick([
      { budgetNanos: "900000000" },
      { terms: "by-interval" },
      { labels: { region: "us" } },
      { allowedParties: [table.story.cast.stranger] },
      { label: "daily" },
      {},
    ]);
    return `${order.part.label} signed by ${order.by}: ${JSON.stringify(order.edit)}`;
  },
  (table) => {
    const label = table.rng.pick([
      "party customer",
      "grant device",
      "grant ci",
      "grant enrol",
      "grant server",
      "party owner",
      "rotated",
      "announced",
      "revoked",
    ]);
    const grant = find(table, label);
    if (!grant) return null;
    const at = table.moves.indexOf(grant);
    table.moves.splice(at, 1);
    const to = label === "revoked" ? table.rng.below(at + 1) : table.moves.length;
    if (table.rng.chance(0.6)) table.moves.splice(to, 0, { ...grant, at: table.moves[to - 1]?.at ?? grant.at });
    return `${label} at ${to}, or not at all`;
  },
  (table) => {
    if (!find(table, "settlement")) return null;
    const by = table.rng.pick<KeyName>(["referee", "stranger-server", "orders"]);
    goOn(table, (script) =>
      script
        .after(1_000)
        .drawn()
        .ruling({ stdoutDigest: "31".repeat(32) }, null)
        .disputed(null)
        .convicted(null),
    );
    for (const move of table.moves) if (move.part.label === "theirs") move.by = by;
    return `a verdict by what ${by} signed`;
  },
  (table) => {
    if (!find(table, "objection")) return null;
    goOn(table, (script) =>
      script.say("receipts", "ruling", (play) => ({ lease: play.of("purchase-order").document.id, ownerNanos: "0", reason: "so" })),
    );
    return "the broker ruled by itself";
  },
  (table) => {
    const result = find(table, "result");
    if (!result) return null;
    result.by = table.rng.pick([...table.held]);
    result.edit = table.rng.pick([
      { fuel: "999000000000" },
      { usedMs: 3_000_000 },
      { reason: "server-failed", exitCode: null },
      { stdoutDigest: "aa".repeat(32) },
      {},
    ]);
    return `a result signed by ${result.by}: ${JSON.stringify(result.edit)}`;
  },
  (table) => {
    const opening = find(table, "opening");
    if (!opening) return null;
    const by = table.rng.pick([-3_000, -1_000, 10_000]);
    for (const move of by < 0 ? [opening] : table.moves.slice(table.moves.indexOf(opening) + 1)) move.at += by;
    return "opened at another time";
  },
  (table) => {
    const label = table.rng.pick(["stop", "extension 1", "extension 2", "amendment 1", "amendment 2", "claim 1", "claim 2"]);
    const numbered = label.replace("extension", "amendment");
    const dropped = table.moves.filter(({ part }) => [label, numbered, label.replace("claim", "receipt")].includes(part.label));
    for (const move of dropped) table.moves.splice(table.moves.indexOf(move), 1);
    return dropped.length === 0 ? null : `${label} was never heard`;
  },
  (table) => {
    const revoked = find(table, "revoked");
    if (!revoked) return null;
    table.moves.splice(table.moves.indexOf(revoked), 1);
    const to = before(table, [table.rng.pick(["order", "purchase-order", "acceptance"])]);
    const at = table.rng.chance(0.5) ? (table.moves[to - 1]?.at ?? revoked.at) : revoked.at;
    table.moves.splice(to, 0, { ...revoked, at });
    return "a key revoked before it ordered";
  },
  (table) => {
    const order = find(table, "order");
    if (!order || !table.held.has("ci")) return null;
    [order.by, order.edit] = ["ci", { label: table.rng.pick(["daily", "nightly", ""]) }];
    return `ordered by a build machine: ${JSON.stringify(order.edit)}`;
  },
  (table) => {
    const gap = before(table, table.rng.pick([["acceptance"], ["result"], ["closing"]]));
    goOn(table, (script) => script.gap(table.rng.pick([5_000, 40_000])), gap);
    return "the broker was away, it says";
  },
];

/** Plays one of the schemes that make sense here; what it is, in words. */
export function schemeFor(story: Story, moves: Move[], held: ReadonlySet<KeyName>, rng: Rng): string {
  for (let tries = 0; tries < 4; tries++) {
    const did = rng.pick(SCHEMES)({ story, moves, held, rng });
    if (did !== null) return did;
  }
  return "no scheme";
}

/** Server and broker agree that no claim was ever made; everything else is signed anew. Null where none was. */
export function neverClaimed(moves: Move[]): string | null {
  const kept = moves.filter(({ part }) => !/^(claim|receipt) \d/.test(part.label));
  if (kept.length === moves.length) return null;
  moves.splice(0, moves.length, ...kept);
  return "no claim was ever made";
}
