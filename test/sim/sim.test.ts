import { describe, expect, it } from "vitest";
import type { Change } from "@xenoservers/xenocorp/parts";
import { cases } from "../thorough.ts";
import { simulate } from "./market.ts";
import { simulateSeeds } from "./seeds.ts";

describe("the simulated market", () => {
  simulateSeeds(0, cases(25, 100), 25);

  it.each([7, 308, 331])("is the same on the same seed, %i", async (seed) => {
    const [a, b] = [await simulate({ seed }), await simulate({ seed })];
    expect(a.digest).toBe(b.digest);
  });

  const find = (change: Change, step: string) => change.transfers.find(({ id }) => id.endsWith(step));
  const canaries: Record<string, (change: Change) => void> = {
    "a refund that is one nano short": (change) => {
      const refund = find(change, "/refund");
      if (refund && refund.amount > 1n) refund.amount -= 1n;
    },
    "capacity that is never reserved": (change) => {
      change.transfers = change.transfers.filter(({ id }) => !id.includes("/reserve/") && !id.includes("/release/"));
    },
    "a hold that is not taken": (change) => {
      if (find(change, "/hold")) change.floors.push({ key: change.transfers[0]!.debit, floor: null });
      change.transfers = change.transfers.filter(({ id }) => !id.endsWith("/hold"));
    },
    "an honest owner who loses its stake": (change) => {
      const back = find(change, "/stake-back");
      if (back && back.amount > 0n) back.credit = "sink/payout";
    },
    "a customer who pays for a failed server": (change) => {
      for (const put of change.puts) {
        if (put.kind !== "lease") continue;
        const lease = put.data as {
          end: { reason: string; dueNanos: string; refundNanos: string; ownerNanos: string } | null;
          holdNanos: string;
        };
        if (lease.end?.reason === "server-failed")
          Object.assign(lease.end, { dueNanos: lease.holdNanos, ownerNanos: lease.holdNanos, refundNanos: "0" });
      }
    },
  };
  it.each(Object.entries(canaries))("catches %s", async (_name, sabotage) => {
    let caught: string | null = null;
    for (let seed = 0; seed < 40 && caught === null; seed++) caught = (await simulate({ seed, sabotage })).problem;
    expect(caught).not.toBeNull();
  });
});
