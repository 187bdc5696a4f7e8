/** What the lease binds: the customer's order, the owner's offer, the operator's fee. Who controls the input: the broker. */
import { formatMoney } from "@xenoservers/market";
import { failed, firstWrong, proved, type Said, type Whose } from "./line.ts";
import type { Checking, OwnFacts } from "./checking.ts";

const PARTY_SHOWN = 12;
const shown = (party: string): string => `${party.slice(0, PARTY_SHOWN)}…`;

/** Whose lease it is; null where no purchase order holds. `yours`: only where the verifier says who it is. */
export function whoseLease({ told, own }: Checking): Whose | null {
  if (!told.begun || !told.lease) return null;
  const { customer, owner, server } = told.lease;
  const { origin } = told.begun.fact.content.payload;
  return { market: origin, customer, owner, server, yours: { order: own.party === customer, offer: own.party === owner } };
}

function parties({ customer, owner, yours }: Whose, { party, customerKey }: OwnFacts): string {
  const stranger = party !== undefined && !yours.order && !yours.offer ? ", which is not yours," : "";
  const keyed = party === undefined && customerKey !== undefined ? ", signed with your key," : "";
  const order = yours.order ? "your order" : `${shown(customer)}'s order${stranger}${keyed}`;
  return `${order} to ${yours.offer ? "your" : `${shown(owner)}'s`} offer at its price`;
}

export function checkPurchase(checking: Checking): Said {
  const { receipt, told, own } = checking;
  const { begun } = told;
  const whose = whoseLease(checking);
  if (!begun || !whose || begun.document.id !== receipt.lease) return failed("it does not hold its own purchase order");
  const { payload, order } = begun.fact.content;
  const fee = told.announcedFee();
  const isYours = own.customerKey === undefined || begun.document.payload.order.signatures[0].keyid === own.customerKey;
  const wrong = firstWrong([
    [isYours, "the order was signed by another key than yours"],
    [told.orders.every(({ id }) => id === order.id), "it holds another order than the one that was bound"],
    [
      payload.feeBasisPoints === 0 || fee !== null,
      "the fee was not announced in the log before the purchase order: nobody could have known of it",
    ],
  ]);
  if (wrong !== null) return failed(wrong);
  const broker = payload.feeBasisPoints > 0 ? `, the announced fee of ${payload.feeBasisPoints / 100} % in it` : "";
  const held = `${formatMoney(BigInt(payload.holdNanos))} held${broker}`;
  return proved(`binds ${parties(whose, own)}; ${held}, terms ${payload.terms}`);
}
