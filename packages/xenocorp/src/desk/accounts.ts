/**
 * Accounts and money that comes in or goes out: sub-accounts and limits, credit, payout, stake, batches that share one hold. A key spends
 * inside its account and label only, and no more in a day than it was given, whatever it draws on. Who controls the inputs: a party's keys,
 * the operator (credit).
 */
import {
  allowanceKey,
  dayKey,
  formatMoney,
  invariant,
  moneyKey,
  type AllowanceKey,
  type Floor,
  type OutsideKey,
  type Shortfall,
  type Transfer,
} from "@xenoservers/market";
import { refuse, rootAccountOf, subAccountOf, type Refusal, type Verified } from "@xenoservers/protocol";
import { readSetting } from "../store/settings.ts";
import type { AccountRow, Allowance, BatchRow, KeyRow, LeaseRow, Versioned } from "../store/store.ts";
import { boundProblem, outsideOf, type PartyCaller } from "./caller.ts";
import { answerAgain, envelopeJson, planned, transfer, type Outcome } from "./outcome.ts";
import type { Round } from "./round.ts";

const ALLOWANCE_SINK: OutsideKey = "sink/allowance";
const DAY_MS = 86_400_000;
const DEPTH_MAX = 16;
const ACCOUNTS_PER_PARTY_MAX = 1_000;

/** The accounts from `account` up to its party's root, checked to be the party's; null where it is not. */
async function chainOf(round: Round, party: string, account: string): Promise<AccountRow[] | null> {
  const chain: AccountRow[] = [];
  for (let at: string | null = account; at !== null;) {
    const row: Versioned<AccountRow> | null = await round.get("account", at);
    if (!row || row.data.party !== party || chain.length >= DEPTH_MAX) return null;
    chain.push(row.data);
    at = row.data.parent;
  }
  return chain;
}

/** Where an amount may be spent from and which allowances it uses up: every limited node up the tree, and the key's day. */
export interface Purse {
  purse: string;
  allowances: Allowance[];
  floors: Floor[];
}
type PurseFound = ({ ok: true } & Purse) | Refusal;

/** Where what a key spends on the day of `at` is kept. */
export const dayKeyOf = ({ id }: KeyRow, at: number): AllowanceKey => dayKey(id, Math.floor(at / DAY_MS));

/** What a key may spend in a day; nothing where it has no bound. */
function dayOf(key: KeyRow, at: number): Pick<Purse, "allowances" | "floors"> {
  const { id, maxSpendPerDayNanos } = key;
  if (maxSpendPerDayNanos === null) return { allowances: [], floors: [] };
  const balance = dayKeyOf(key, at);
  return { allowances: [{ of: { key: id }, balance }], floors: [{ key: balance, floor: -BigInt(maxSpendPerDayNanos) }] };
}

/** The purse for an order, or an extension, of an account. The label is the caller's to check: a purse has none. */
export async function purseFor(round: Round, { key, party }: PartyCaller, account: string): Promise<PurseFound> {
  const outside = outsideOf(key, { account, label: key.leaseLabel });
  if (outside) return outside;
  const chain = await chainOf(round, party.data.id, account);
  if (!chain) return refuse("not_found", { account });
  const limited = chain
    .filter(({ limitNanos }) => limitNanos !== null)
    .map(({ id }): Allowance => ({ of: { account: id }, balance: allowanceKey(id) }));
  const day = dayOf(key, round.at);
  return { ok: true, purse: rootAccountOf(party.data.id), allowances: [...limited, ...day.allowances], floors: day.floors };
}

/**
 * Leases of a batch draw on its one hold; its accounts' allowances were used up when it was opened, and the day of the key that opened it.
 * What another key draws counts against that key's day.
 */
export async function batchPurse(round: Round, { key, party }: PartyCaller, id: string, account: string): Promise<PurseFound> {
  const batch = await round.get("batch", id);
  if (!batch || batch.data.party !== party.data.id || batch.data.account !== account) return refuse("not_found", { batch: id });
  const outside = outsideOf(key, batch.data);
  if (outside) return outside;
  if (!batch.data.open) return refuse("wrong_state", { state: "closed" });
  const day = batch.data.key === key.id ? { allowances: [], floors: [] } : dayOf(key, round.at);
  return { ok: true, purse: id, ...day };
}

/** What more of a lease is paid from, and counts against: its own purse, and the day of whoever asks for more. */
export function leasePurse(
  round: Round,
  caller: PartyCaller,
  { purse, account, label }: Pick<LeaseRow, "purse" | "account" | "label">,
): Promise<PurseFound> {
  const outside = outsideOf(caller.key, { account, label });
  if (outside) return Promise.resolve(outside);
  return purse === rootAccountOf(caller.party.data.id) ? purseFor(round, caller, account) : batchPurse(round, caller, purse, account);
}

/**
 * The allowances that a lease gives back to after it was extended from `more`: those that both were charged to. One that was charged with a
 * part gets nothing back, because nobody could tell how much of a refund is its own, and no key may win back more than it used.
 */
export const allowancesAfter = (before: readonly Allowance[], more: readonly Allowance[]): Allowance[] =>
  before.filter(({ balance }) => more.some((other) => other.balance === balance));

/** The money of an account falls short. */
export const noFunds = (account: string): Shortfall => ({ code: "insufficient_funds", account });
export const noStake = (account: string): Shortfall => ({ code: "insufficient_stake", account });

/** The transfers that use up (or give back) allowances. */
export function allowanceTransfers(
  idPrefix: string,
  allowances: readonly Allowance[],
  amount: bigint,
  direction: "use" | "give-back",
): (Transfer | null)[] {
  return allowances.map(({ of, balance }, i) =>
    direction === "use"
      ? transfer(`${idPrefix}/${i}`, balance, ALLOWANCE_SINK, amount, { code: "limit_reached", ...of })
      : transfer(`${idPrefix}/${i}`, ALLOWANCE_SINK, balance, amount),
  );
}
export const ALLOWANCE_FLOOR: Floor = { key: ALLOWANCE_SINK, floor: null };

export async function createAccount(round: Round, document: Verified<"account">, { key }: PartyCaller): Promise<Outcome> {
  const { party, parent, name, limitNanos, clientId } = document.payload;
  const outside = outsideOf(key, { account: parent, label: null });
  if (outside) return outside;
  const chain = await chainOf(round, party, parent);
  if (!chain) return refuse("not_found", { account: parent });
  if (chain.length >= DEPTH_MAX) return refuse("limit_reached", { depth: DEPTH_MAX });
  if ((await round.services.store.accountsOf(party)).length >= ACCOUNTS_PER_PARTY_MAX)
    return refuse("limit_reached", { accounts: ACCOUNTS_PER_PARTY_MAX });
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

export async function limitAccount(round: Round, document: Verified<"account-limit">, { key }: PartyCaller): Promise<Outcome> {
  const { party, account, limitNanos, clientId } = document.payload;
  const outside = outsideOf(key, { account, label: null });
  if (outside) return outside;
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

/**
 * Money that came in. What the operator calls the payment counts once in the market: the same again is answered as then, anything else
 * under that reference is refused. Without a reference every document is a payment of its own.
 */
export async function creditParty(round: Round, document: Verified<"credit">): Promise<Outcome> {
  const { party, amountNanos, source, reference, clientId } = document.payload;
  const row = await round.get("party", party);
  if (!row) return refuse("not_found", { party });
  const id = `credited/${reference}`;
  const known = reference === "" ? null : readSetting("credited", await round.get("setting", id));
  if (known) {
    if (known.party === party && known.amountNanos === amountNanos && known.source === source) {
      return (await answerAgain(round, known.document)) ?? refuse("answer_gone", { id: known.document, reference });
    }
    const { currency } = round.services.config;
    const booked = `${formatMoney(BigInt(known.amountNanos))} ${currency} from ${known.source} to ${known.party}`;
    return refuse("id_reused", { reference, why: `${reference} is booked: ${booked}; another payment needs another reference` });
  }
  const from: OutsideKey = `source/${source}`;
  const value = { document: document.id, party, amountNanos, source };
  return planned(round, {
    id: document.id,
    filed: [{ document, parties: [party] }],
    // whoever is answered so again, for another document, sees which one the promise is for
    answer: { document: envelopeJson(document.envelope) },
    uniques: [`operator/${clientId}`],
    puts: reference === "" ? [] : [{ kind: "setting", id, expect: 0, data: { id, value } }],
    floors: [{ key: from, floor: null }],
    transfers: [transfer(`credit/${document.id}`, from, moneyKey(row.data.account, "available"), BigInt(amountNanos))],
    events: [{ party, kind: "credit", lease: null, data: { amountNanos, source, reference } }],
  });
}

export async function payOut(round: Round, document: Verified<"payout">, caller: PartyCaller): Promise<Outcome> {
  const { party, amountNanos, clientId } = document.payload;
  const bound = boundProblem(caller.key);
  if (bound) return bound;
  const { account, suspended, suspensionReason } = caller.party.data;
  if (suspended) return refuse("suspended", { reason: suspensionReason });
  return planned(round, {
    id: document.id,
    filed: [{ document, parties: [party] }],
    uniques: [`${party}/${clientId}`],
    transfers: [transfer(`payout/${document.id}`, moneyKey(account, "available"), "sink/payout", BigInt(amountNanos), noFunds(account))],
    events: [{ party, kind: "payout", lease: null, data: { amountNanos } }],
  });
}

export async function moveStake(round: Round, document: Verified<"stake">, caller: PartyCaller): Promise<Outcome> {
  const { party, amountNanos, direction, clientId } = document.payload;
  const { account, suspended, suspensionReason } = caller.party.data;
  const bound = boundProblem(caller.key);
  if (bound) return bound;
  if (suspended) return refuse("suspended", { reason: suspensionReason });
  const [from, to] = direction === "deposit" ? (["available", "staked"] as const) : (["staked", "available"] as const);
  const short = direction === "deposit" ? noFunds(account) : noStake(account);
  return planned(round, {
    id: document.id,
    filed: [{ document, parties: [party] }],
    uniques: [`${party}/${clientId}`],
    transfers: [transfer(`stake/${document.id}`, moneyKey(account, from), moneyKey(account, to), BigInt(amountNanos), short)],
    events: [{ party, kind: `stake-${direction}`, lease: null, data: { amountNanos } }],
    effects: [{ kind: "refresh-owner", owner: party }],
  });
}

export async function openBatch(round: Round, document: Verified<"batch">, caller: PartyCaller): Promise<Outcome> {
  const { party, account, budgetNanos, expiresAt, clientId } = document.payload;
  if (caller.party.data.suspended) return refuse("suspended", { reason: caller.party.data.suspensionReason });
  if (expiresAt <= round.at) return refuse("expired", { expiresAt });
  const purse = await purseFor(round, caller, account);
  if (!purse.ok) return purse;
  const budget = BigInt(budgetNanos);
  const { id: key, leaseLabel: label } = caller.key;
  const data: BatchRow = {
    ...{ id: document.id, party, account, label, key, budgetNanos, allowances: purse.allowances, deadlineAt: expiresAt, open: true },
  };
  return planned(round, {
    id: document.id,
    filed: [{ document, parties: [party] }],
    answer: { batch: document.id },
    uniques: [`${party}/${clientId}`],
    floors: [ALLOWANCE_FLOOR, ...purse.floors],
    puts: [{ kind: "batch", id: document.id, expect: 0, data }],
    transfers: [
      transfer(
        `batch/${document.id}/open`,
        moneyKey(purse.purse, "available"),
        moneyKey(document.id, "available"),
        budget,
        noFunds(purse.purse),
      ),
      ...allowanceTransfers(`batch/${document.id}/allowance`, purse.allowances, budget, "use"),
    ],
    events: [{ party, kind: "batch-opened", lease: null, data: { batch: document.id, budgetNanos } }],
  });
}

const SWEEP_AFTER_MS = 5_000;

/** Moves what lies in a batch back to its account, with the allowances it had used up. `step` names the move, so that it is done once. */
function giveBack(step: string, id: string, party: string, allowances: readonly Allowance[], amount: bigint): (Transfer | null)[] {
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

/**
 * Closing gives back at once what no lease holds; what leases give back later is swept to the account by a timer. Without a document: it
 * has expired.
 */
export async function closeBatch(
  round: Round,
  id: string,
  document: Verified<"batch-close"> | null,
  caller: PartyCaller | null = null,
): Promise<Outcome> {
  const batch = await round.get("batch", id);
  if (!batch || (document && batch.data.party !== document.payload.party)) return refuse("not_found", { batch: id });
  const outside = document && (caller ? outsideOf(caller.key, batch.data) : refuse("not_found", { batch: id }));
  if (outside) return outside;
  const { party, open, allowances } = batch.data;
  if (!open) return refuse("wrong_state", { state: "closed" });
  const { available, held } = await moneyIn(round, id);
  return planned(round, {
    id: document?.id ?? `batch/${id}/expired`,
    filed: document ? [{ document, parties: [party] }] : [],
    answer: { returnedNanos: available.toString() },
    floors: [ALLOWANCE_FLOOR],
    puts: [
      {
        kind: "batch",
        id,
        expect: batch.version,
        data: { ...batch.data, open: false, deadlineAt: held > 0n ? round.at + SWEEP_AFTER_MS : null },
      },
    ],
    transfers: giveBack("close", id, party, allowances, available),
    events: [{ party, kind: "batch-closed", lease: null, data: { batch: id, returnedNanos: available.toString() } }],
  });
}

/** A closed batch is looked at until no lease holds anything of it. */
export async function sweepBatch(round: Round, id: string): Promise<Outcome> {
  const batch = await round.get("batch", id);
  invariant(batch !== null, "a batch that is due is there");
  const { party, allowances } = batch.data;
  const { available, held } = await moneyIn(round, id);
  const step = `sweep-${batch.version}`;
  return planned(round, {
    id: `batch/${id}/${step}`,
    filed: [],
    floors: [ALLOWANCE_FLOOR],
    puts: [{ kind: "batch", id, expect: batch.version, data: { ...batch.data, deadlineAt: held > 0n ? round.at + SWEEP_AFTER_MS : null } }],
    transfers: giveBack(step, id, party, allowances, available),
    events:
      available > 0n ? [{ party, kind: "batch-returned", lease: null, data: { batch: id, returnedNanos: available.toString() } }] : [],
  });
}
