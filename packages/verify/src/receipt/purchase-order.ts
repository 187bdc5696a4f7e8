/** What the lease binds: the customer's order, the owner's offer, the operator's fee. Who controls the input: the broker. */
import { formatMoney } from "@xenoservers/market";
import { claimed, failed, firstWrong, proved, type Said } from "./line.ts";
import type { Checking } from "./checking.ts";

const PARTY_SHOWN = 12;

export function checkPurchase({ receipt, told, own }: Checking): Said {
  const { begun } = told;
  if (!begun || begun.document.id !== receipt.lease) return failed("it does not hold its own purchase order");
  const { payload, order } = begun.fact.content;
  const fee = told.announcedFee();
  const isYours = own.customerKey === undefined || begun.document.payload.order.signatures[0].keyid === own.customerKey;
  const wrong = firstWrong([
    [isYours, "the order was signed by another key than yours"],
    [told.orders.every((id) => id === order.id), "it holds another order than the one that was bound"],
    [
      payload.feeBasisPoints === 0 || fee !== null,
      "the fee was not announced in the log before the purchase order: nobody could have known of it",
    ],
  ]);
  if (wrong !== null) return failed(wrong);
  const broker = payload.feeBasisPoints > 0 ? `, the announced fee of ${payload.feeBasisPoints / 100} % in it` : "";
  const held = `${formatMoney(BigInt(payload.holdNanos))} held${broker}`;
  const isOwn = own.party === undefined ? own.customerKey !== undefined : own.party === order.payload.party;
  const whose = isOwn ? "your order" : `the order of ${order.payload.party.slice(0, PARTY_SHOWN)}`;
  const says = `binds ${whose} to the server's offer at its price; ${held}, terms ${payload.terms}`;
  return fee === null || fee.isLogged ? proved(says) : claimed(`${says}; the log has the fee not yet`);
}
