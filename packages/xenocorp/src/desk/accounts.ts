/** Accounts and money that comes in or goes out: sub-accounts and limits, credit, payout, stake, the broker's fee, batches that share one hold. */
import { allowanceKey, moneyKey } from "@xenoservers/market";
import { refuse, rootAccountOf, subAccountOf, type Refusal, type SignedDocument } from "@xenoservers/protocol";
import type { AccountRow, Versioned, WireTransfer } from "../store/store.ts";
import type { PartyCaller } from "./caller.ts";
import { planned, transfer, type Outcome } from "./outcome.ts";
import type { Round } from "./round.ts";

export const ALLOWANCE_SINK = "sink/allowance";
export const BROKER_ACCOUNT = "xenocorp";
const DAY_MS = 86_400_000;

/** The accounts from `account` up to its party's root, checked to be the party's; null where it is not. */
async function chainOf(round: Round, party: string, account: string): Promise<string[] | null> {
  const chain: string[] = [];
  for (let at: string | null = account; at !== null;) {
    const row: Versioned<AccountRow> | null = await round.get("account", at);
    if (!row || row.data.party !== party || chain.length >= 16) return null;
    chain.push(at);
    at = row.data.parent;
  }
  return chain;
}

/** Where an amount may be spent from and which allowances it uses up: every limited node up the tree, and the key's day. */
export interface Purse {
  purse: string;
  allowances: string[];
  floors: { key: string; floor: bigint }[];
}

export async function purseFor(round: Round, caller: PartyCaller, account: string): Promise<({ ok: true } & Purse) | Refusal> {
  const { key, party } = caller;
  if (key.account !== null && key.account !== account) return refuse("key_not_allowed", { account, why: "the key may spend from its own account only" });
  const chain = await chainOf(round, party.data.id, account);
  if (!chain) return refuse("not_found", { account });
  const allowances: string[] = [];
  const floors: Purse["floors"] = [];
  for (const id of chain) if ((await round.get("account", id))!.data.limitNanos !== null) allowances.push(allowanceKey(id));
  if (key.maxSpendPerDayNanos !== null) {
    const dayKey = `${key.id}/day/${Math.floor(round.at / DAY_MS)}`;
    allowances.push(dayKey);
    floors.push({ key: dayKey, floor: -BigInt(key.maxSpendPerDayNanos) });
  }
  return { ok: true, purse: rootAccountOf(party.data.id), allowances, floors };
}

/** The transfers that use up (or give back) allowances. */
export function allowanceTransfers(idPrefix: string, allowances: readonly string[], amount: bigint, direction: "use" | "give-back"): (WireTransfer | null)[] {
  return allowances.map((key, i) =>
    direction === "use" ? transfer(`${idPrefix}/${i}`, key, ALLOWANCE_SINK, amount) : transfer(`${idPrefix}/${i}`, ALLOWANCE_SINK, key, amount),
  );
}
export const ALLOWANCE_FLOOR = { key: ALLOWANCE_SINK, floor: null };

export async function createAccount(round: Round, document: SignedDocument<"account">): Promise<Outcome> {
  const { party, parent, name, limitNanos, clientId } = document.payload;
  if (!(await chainOf(round, party, parent))) return refuse("not_found", { account: parent });
  const id = subAccountOf(document.id);
  return planned(round, {
    id: document.id,
    filed: [{ document, parties: [party] }],
    answer: { account: id },
    uniques: [`${party}/${clientId}`],
    puts: [{ kind: "account", id, expect: 0, data: { id, party, parent, name, limitNanos } }],
    floors: limitNanos === null ? [] : [{ key: allowanceKey(id), floor: -BigInt(limitNanos) }],
    events: [{ party, kind: "account-created", lease: null, data: { account: id, name } }],
  });
}

export async function limitAccount(round: Round, document: SignedDocument<"account-limit">): Promise<Outcome> {
  const { party, account, limitNanos, clientId } = document.payload;
  const row = await round.get("account", account);
  if (!row || row.data.party !== party) return refuse("not_found", { account });
  return planned(round, {
    id: document.id,
    filed: [{ document, parties: [party] }],
    uniques: [`${party}/${clientId}`],
    puts: [{ kind: "account", id: account, expect: row.version, data: { ...row.data, limitNanos } }],
    floors: [{ key: allowanceKey(account), floor: limitNanos === null ? null : -BigInt(limitNanos) }],
    events: [{ party, kind: "account-limit", lease: null, data: { account, limitNanos } }],
  });
}

export async function creditParty(round: Round, document: SignedDocument<"credit">): Promise<Outcome> {
  const { party, amountNanos, source, reference, clientId } = document.payload;
  const row = await round.get("party", party);
  if (!row) return refuse("not_found", { party });
  const from = `source/${source}`;
  return planned(round, {
    id: document.id,
    filed: [{ document, parties: [party] }],
    uniques: [`operator/${clientId}`],
    floors: [{ key: from, floor: null }],
    transfers: [transfer(`credit/${document.id}`, from, moneyKey(row.data.account, "available"), BigInt(amountNanos))],
    events: [{ party, kind: "credit", lease: null, data: { amountNanos, source, reference } }],
  });
}

export async function payOut(round: Round, document: SignedDocument<"payout">, caller: PartyCaller): Promise<Outcome> {
  const { party, amountNanos, clientId } = document.payload;
  if (caller.party.data.suspended) return refuse("suspended", { reason: caller.party.data.suspensionReason });
  return planned(round, {
    id: document.id,
    filed: [{ document, parties: [party] }],
    uniques: [`${party}/${clientId}`],
    transfers: [transfer(`payout/${document.id}`, moneyKey(caller.party.data.account, "available"), "sink/payout", BigInt(amountNanos))],
    events: [{ party, kind: "payout", lease: null, data: { amountNanos } }],
  });
}

export async function moveStake(round: Round, document: SignedDocument<"stake">, caller: PartyCaller): Promise<Outcome> {
  const { party, amountNanos, direction, clientId } = document.payload;
  const { account, suspended, suspensionReason } = caller.party.data;
  if (suspended) return refuse("suspended", { reason: suspensionReason });
  const [from, to] = direction === "deposit" ? (["available", "staked"] as const) : (["staked", "available"] as const);
  return planned(round, {
    id: document.id,
    filed: [{ document, parties: [party] }],
    uniques: [`${party}/${clientId}`],
    transfers: [transfer(`stake/${document.id}`, moneyKey(account, from), moneyKey(account, to), BigInt(amountNanos))],
    events: [{ party, kind: `stake-${direction}`, lease: null, data: { amountNanos } }],
  });
}

export async function setFee(round: Round, document: SignedDocument<"fee">): Promise<Outcome> {
  const row = await round.get("setting", "fee");
  return planned(round, {
    id: document.id,
    filed: [{ document, parties: [] }],
    uniques: [`operator/${document.payload.clientId}`],
    puts: [{ kind: "setting", id: "fee", expect: row?.version ?? 0, data: { id: "fee", value: document.payload.basisPoints } }],
  });
}

export async function feeBasisPoints(round: Round): Promise<number> {
  return Number((await round.get("setting", "fee"))?.data.value ?? 0);
}

export async function openBatch(round: Round, document: SignedDocument<"batch">, caller: PartyCaller): Promise<Outcome> {
  const { party, account, budgetNanos, expiresAt, clientId } = document.payload;
  if (caller.party.data.suspended) return refuse("suspended", { reason: caller.party.data.suspensionReason });
  if (expiresAt <= round.at) return refuse("expired", { expiresAt });
  const purse = await purseFor(round, caller, account);
  if (!purse.ok) return purse;
  const budget = BigInt(budgetNanos);
  return planned(round, {
    id: document.id,
    filed: [{ document, parties: [party] }],
    answer: { batch: document.id },
    uniques: [`${party}/${clientId}`],
    floors: [ALLOWANCE_FLOOR, ...purse.floors],
    puts: [
      {
        kind: "batch",
        id: document.id,
        expect: 0,
        data: { id: document.id, party, account, budgetNanos, allowances: purse.allowances, deadlineAt: expiresAt, open: true },
      },
    ],
    transfers: [
      transfer(`batch/${document.id}/open`, moneyKey(purse.purse, "available"), moneyKey(document.id, "available"), budget),
      ...allowanceTransfers(`batch/${document.id}/allowance`, purse.allowances, budget, "use"),
    ],
    events: [{ party, kind: "batch-opened", lease: null, data: { batch: document.id, budgetNanos } }],
  });
}

const SWEEP_AFTER_MS = 5_000;

/** Moves what lies in a batch back to its account, with the allowances it had used up. `step` names the move, so that it is done once. */
function giveBack(step: string, id: string, party: string, allowances: readonly string[], amount: bigint): (WireTransfer | null)[] {
  return [
    transfer(`batch/${id}/${step}`, moneyKey(id, "available"), moneyKey(rootAccountOf(party), "available"), amount),
    ...allowanceTransfers(`batch/${id}/${step}-allowance`, allowances, amount, "give-back"),
  ];
}

async function moneyIn(round: Round, id: string): Promise<{ available: bigint; held: bigint }> {
  const [available, held] = [moneyKey(id, "available"), moneyKey(id, "held")];
  const books = await round.services.store.balances([`${id}/`]);
  return { available: books.get(available) ?? 0n, held: books.get(held) ?? 0n };
}

/** Closing gives back at once what no lease holds; what leases give back later is swept to the account by a timer. */
export async function closeBatch(round: Round, id: string, document: SignedDocument<"batch-close"> | null): Promise<Outcome> {
  const batch = await round.get("batch", id);
  if (!batch || (document && batch.data.party !== document.payload.party)) return refuse("not_found", { batch: id });
  const { party, open, allowances } = batch.data;
  if (!open) return refuse("wrong_state", { state: "closed" });
  const { available, held } = await moneyIn(round, id);
  return planned(round, {
    id: document?.id ?? `batch/${id}/expired`,
    filed: document ? [{ document, parties: [party] }] : [],
    answer: { returnedNanos: available.toString() },
    floors: [ALLOWANCE_FLOOR],
    puts: [{ kind: "batch", id, expect: batch.version, data: { ...batch.data, open: false, deadlineAt: held > 0n ? round.at + SWEEP_AFTER_MS : null } }],
    transfers: giveBack("close", id, party, allowances, available),
    events: [{ party, kind: "batch-closed", lease: null, data: { batch: id, returnedNanos: available.toString() } }],
  });
}

/** A closed batch is looked at until no lease holds anything of it. */
export async function sweepBatch(round: Round, id: string): Promise<Outcome> {
  const batch = (await round.get("batch", id))!;
  const { party, allowances } = batch.data;
  const { available, held } = await moneyIn(round, id);
  const step = `sweep-${batch.version}`;
  return planned(round, {
    id: `batch/${id}/${step}`,
    filed: [],
    floors: [ALLOWANCE_FLOOR],
    puts: [{ kind: "batch", id, expect: batch.version, data: { ...batch.data, deadlineAt: held > 0n ? round.at + SWEEP_AFTER_MS : null } }],
    transfers: giveBack(step, id, party, allowances, available),
    events: available > 0n ? [{ party, kind: "batch-returned", lease: null, data: { batch: id, returnedNanos: available.toString() } }] : [],
  });
}
