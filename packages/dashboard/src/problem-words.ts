/** An error as the page tells it: by its closed code, whose doing it is, what it does to the money, and what to do next. */
import { MarketError, type MoneyEffect } from "@xenoservers/sdk";
import { said } from "./words.ts";

export interface Told {
  /** Null: this page's own fault. */
  code: string | null;
  says: string;
  blame: string;
  money: string;
  next: string;
}

const BLAME: Readonly<Record<MarketError["blame"], string>> = {
  customer: "the customer",
  owner: "the server’s owner",
  broker: "the broker",
  caller: "whoever asked: this page, its key, or what was typed",
  unknown: "nobody can tell",
};
const MONEY: Readonly<Record<MoneyEffect, string>> = {
  none: "nothing was ordered, held or charged",
  withdrawn: "what was ordered is given up; nothing is charged from then on",
  "by-terms": "the lease ends and is billed as its terms say",
  unknown: "what was sent may have been taken: look at your leases",
};
const LONGEST = 600;
const OWN_FAULT = "reload the page; if it comes again, report it to the market’s operator";

const READ_ONLY = "none of it moved: it was only to be read";

/** `isRead`: nothing was sent but a question. */
export function told(error: unknown, isRead = false): Told {
  const says = said(error instanceof Error ? error.message : String(error), LONGEST);
  if (!(error instanceof MarketError))
    return { code: null, says, blame: "this page", money: isRead ? READ_ONLY : MONEY.unknown, next: OWN_FAULT };
  const { code, blame, money, next } = error;
  return { code, says, blame: BLAME[blame], money: isRead ? READ_ONLY : MONEY[money], next: said(next, LONGEST) };
}
