import { describe, expect, it } from "vitest";
import { Ledger, type Transfer } from "./ledger.ts";

type Moved = Omit<Transfer, "short">;

describe("the books", () => {
  it("take all of a change or nothing, and once", () => {
    const ledger = new Ledger();
    ledger.apply([{ key: "source/x", floor: null }], [{ id: "1", debit: "source/x", credit: "a/available", amount: 10n }]);
    const first: Moved = { id: "2", debit: "a/available", credit: "b/available", amount: 4n };
    expect(ledger.apply([], [first, { id: "3", debit: "a/available", credit: "b/available", amount: 7n }])).toEqual({
      code: "below_floor",
      key: "a/available",
      missing: 1n,
    });
    expect(ledger.balance("b/available")).toBe(0n);
    ledger.apply([], [first]);
    ledger.apply([], [first]);
    expect(ledger.balance("a/available")).toBe(6n);
    expect([...ledger.balances.values()].reduce((sum, { amount }) => sum + amount, 0n)).toBe(0n);
  });

  it("look at the end of a change, not at its middle", () => {
    const ledger = new Ledger();
    const there: Moved = { id: "1", debit: "a/available", credit: "b/available", amount: 5n };
    expect(ledger.apply([], [there, { id: "2", debit: "b/available", credit: "a/available", amount: 5n }])).toBeNull();
    expect(
      ledger.apply([{ key: "c/allowance", floor: -3n }], [{ id: "3", debit: "c/allowance", credit: "sink/x", amount: 3n }]),
    ).toBeNull();
    expect(ledger.apply([], [{ id: "4", debit: "c/allowance", credit: "sink/x", amount: 1n }])).toMatchObject({
      key: "c/allowance",
      missing: 1n,
    });
  });
});
