/** Which audits are due is asked of the broker with as few questions as it takes. */
import { expect, it } from "vitest";
import { dueAudits } from "./audit-due.ts";
import type { MarketClient } from "./client.ts";

const lease = (server: string, audited: boolean) => ({ customer: "p", state: "settled", server, end: { audited } });

/** A market with these leases, whose referee is `judge`, and what it was asked. */
function marketOf(leases: object[]): { client: MarketClient; asked: string[] } {
  const asked: string[] = [];
  const client = {
    identity: { party: "p" },
    read: async (name: string) => (asked.push(name), { leases, away: [], next: null }),
    market: async () => (asked.push("market"), { referees: ["judge"] }),
  };
  return { client: client as unknown as MarketClient, asked };
}

it("asks who the referees are only where something was drawn", async () => {
  const { client, asked } = marketOf([lease("a", false), lease("b", false)]);
  expect(await dueAudits(client, null)).toEqual([]);
  expect(asked).toEqual(["leases"]);
});

it("leaves out what a referee itself has run", async () => {
  const { client, asked } = marketOf([lease("a", true), lease("judge", true), lease("b", false)]);
  expect(await dueAudits(client, null)).toEqual([lease("a", true)]);
  expect(asked).toEqual(["leases", "market"]);
});
