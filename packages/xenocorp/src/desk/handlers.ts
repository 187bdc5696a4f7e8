/**
 * One line per kind of document: who at the desk acts on it. Total: a kind without a line does not compile, and the broker's own are
 * nobody's to hand in.
 */
import { refuse, type Kind, type Verified } from "@xenoservers/protocol";
import * as accounts from "./accounts.ts";
import type { PartyCaller } from "./caller.ts";
import * as disputes from "./disputes.ts";
import { announceFee } from "./fees.ts";
import * as leases from "./leases.ts";
import { moveLease } from "./moves.ts";
import * as offers from "./offers.ts";
import * as orders from "./orders.ts";
import type { Outcome } from "./outcome.ts";
import * as parties from "./parties.ts";
import { commitResult } from "./replicas.ts";
import type { Round } from "./round.ts";
import * as traces from "./traces.ts";
import { nameReferee } from "./referees.ts";
import { publishKeys } from "./market-keys.ts";
import * as waiting from "./waiting.ts";
import { nameWitness } from "./witnesses.ts";

/** Who handed a document in; `delivery`: with a result, its customer's word. */
interface Given {
  caller: PartyCaller | null;
  delivery: Verified<"delivery"> | null;
  /** Of an order: it waits where there is no room now. */
  waits: boolean;
}

type Handler<K extends Kind> = (round: Round, document: Verified<K>, given: Given) => Promise<Outcome>;
type ByParty<K extends Kind> = (
  round: Round,
  document: Verified<K>,
  caller: PartyCaller,
  delivery: Verified<"delivery"> | null,
) => Promise<Outcome>;

/** What only a party's own key may sign: its handler gets the caller. */
const byParty =
  <K extends Kind>(handler: ByParty<K>): Handler<K> =>
  async (round, document, { caller, delivery }) =>
    caller ? handler(round, document, caller, delivery) : refuse("not_yours", { why: "only a party's own key signs this" });

/** Null: the kind is the broker's own. */
const HANDLERS: { readonly [K in Kind]: Handler<K> | null } = {
  party: parties.registerParty,
  "key-grant": byParty(parties.grantKey),
  "key-revoke": byParty(parties.revokeKey),
  "key-rotate": byParty(parties.rotateKey),
  suspension: parties.suspendParty,
  account: byParty(accounts.createAccount),
  "account-limit": byParty(accounts.limitAccount),
  credit: accounts.creditParty,
  payout: byParty(accounts.payOut),
  stake: byParty(accounts.moveStake),
  fee: announceFee,
  batch: byParty(accounts.openBatch),
  "batch-close": byParty((at, close, who) => accounts.closeBatch(at, close.payload.batch, close, who)),
  offer: byParty(offers.listOffer),
  "offer-withdrawal": offers.withdrawOffer,
  order: (at, order, given) => byParty<"order">(given.waits ? waiting.orderOrWait : orders.placeOrder)(at, order, given),
  "order-withdrawal": byParty(waiting.withdrawOrder),
  acceptance: byParty(leases.acceptLease),
  claim: byParty(leases.receiveClaim),
  commitment: byParty(commitResult),
  result: byParty(leases.receiveResult),
  delivery: byParty(leases.receiveDelivery),
  stop: byParty(leases.stopLease),
  extension: byParty(leases.extendLease),
  takeover: byParty(moveLease),
  objection: byParty(leases.object),
  ruling: leases.rule,
  referee: nameReferee,
  witness: nameWitness,
  "market-keys": publishKeys,
  "trace-request": byParty(traces.requestTrace),
  trace: byParty(traces.receiveTrace),
  dispute: disputes.openDispute,
  appeal: disputes.openAppeal,
  login: null,
  "purchase-order": null,
  opening: null,
  reveal: null,
  "claim-receipt": null,
  amendment: null,
  // it is handed in inside a takeover
  handover: null,
  move: null,
  closing: null,
  settlement: null,
  gap: null,
  "audit-round": null,
  "audit-reveal": null,
  draw: null,
  verdict: null,
  review: null,
  epoch: null,
};

/** Null: nobody hands this kind in. */
export function handle<K extends Kind>(round: Round, document: Verified<K>, given: Given): Promise<Outcome> | null {
  const handler = HANDLERS[document.kind];
  return handler && handler(round, document, given);
}
