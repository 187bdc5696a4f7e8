/**
 * One line per kind of document: who at the desk acts on it. Total: a kind without a line does not compile, and the broker's own are
 * nobody's to hand in.
 */
import { refuse, type AnyVerified, type Kind, type Refusal, type Verified } from "@xenoservers/protocol";
import * as accounts from "./accounts.ts";
import type { PartyCaller } from "./caller.ts";
import * as disputes from "./disputes.ts";
import { announceFee } from "./fees.ts";
import * as leases from "./leases.ts";
import * as offers from "./offers.ts";
import * as orders from "./orders.ts";
import type { Outcome } from "./outcome.ts";
import * as parties from "./parties.ts";
import { commitResult } from "./replicas.ts";
import type { Round } from "./round.ts";
import * as traces from "./traces.ts";
import { nameWitness } from "./witnesses.ts";

type ByParty<K extends Kind> = (round: Round, document: Verified<K>, caller: PartyCaller) => Promise<Outcome>;

const notAParty = (): Promise<Refusal> => Promise.resolve(refuse("not_yours", { why: "only a party's own key signs this" }));

/** Handlers of what parties sign get their caller. */
const by = <K extends Kind>(handler: ByParty<K>, round: Round, document: Verified<K>, caller: PartyCaller | null): Promise<Outcome> =>
  caller ? handler(round, document, caller) : notAParty();

/** `delivery`: with a result, its customer's word. Null: the kind is the broker's own. */
export function handle(
  round: Round,
  document: AnyVerified,
  caller: PartyCaller | null,
  delivery: Verified<"delivery"> | null,
): Promise<Outcome> | null {
  switch (document.kind) {
    case "party":
      return parties.registerParty(round, document);
    case "key-grant":
      return by(parties.grantKey, round, document, caller);
    case "key-revoke":
      return by(parties.revokeKey, round, document, caller);
    case "key-rotate":
      return by(parties.rotateKey, round, document, caller);
    case "suspension":
      return parties.suspendParty(round, document);
    case "account":
      return by(accounts.createAccount, round, document, caller);
    case "account-limit":
      return by(accounts.limitAccount, round, document, caller);
    case "credit":
      return accounts.creditParty(round, document);
    case "payout":
      return by(accounts.payOut, round, document, caller);
    case "stake":
      return by(accounts.moveStake, round, document, caller);
    case "fee":
      return announceFee(round, document);
    case "batch":
      return by(accounts.openBatch, round, document, caller);
    case "batch-close":
      return by((at, close, who) => accounts.closeBatch(at, close.payload.batch, close, who), round, document, caller);
    case "offer":
      return by(offers.listOffer, round, document, caller);
    case "offer-withdrawal":
      return offers.withdrawOffer(round, document);
    case "order":
      return by(orders.placeOrder, round, document, caller);
    case "acceptance":
      return by(leases.acceptLease, round, document, caller);
    case "claim":
      return by(leases.receiveClaim, round, document, caller);
    case "commitment":
      return by(commitResult, round, document, caller);
    case "result":
      return by((at, result, who) => leases.receiveResult(at, result, who, delivery), round, document, caller);
    case "delivery":
      return by(leases.receiveDelivery, round, document, caller);
    case "stop":
      return by(leases.stopLease, round, document, caller);
    case "extension":
      return by(leases.extendLease, round, document, caller);
    case "objection":
      return by(leases.object, round, document, caller);
    case "ruling":
      return leases.rule(round, document);
    case "referee":
      return disputes.nameReferee(round, document);
    case "witness":
      return nameWitness(round, document);
    case "trace-request":
      return by(traces.requestTrace, round, document, caller);
    case "trace":
      return by(traces.receiveTrace, round, document, caller);
    case "dispute":
      return disputes.openDispute(round, document);
    case "login":
    case "purchase-order":
    case "opening":
    case "reveal":
    case "claim-receipt":
    case "amendment":
    case "closing":
    case "settlement":
    case "gap":
    case "verdict":
    case "epoch":
      return null;
  }
}
