import type { LeaseView } from "@xenoservers/protocol";
import { expect, it } from "vitest";
import { incomeOf } from "./income.ts";

const leaseOf = (state: string, ownerNanos: string | null) =>
  ({ state, end: ownerNanos === null ? null : { ownerNanos } }) as unknown as LeaseView;

it("is what is final, and apart from it what can still be objected to", () => {
  const leases = [leaseOf("final", "5"), leaseOf("final", "7"), leaseOf("settled", "11"), leaseOf("open", null), leaseOf("disputed", "13")];
  expect(incomeOf(leases)).toEqual({ earned: 12n, open: 11n });
});
