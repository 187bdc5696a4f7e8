/** What every Store says to whoever watches it. The memory twin and Postgres both pass it. */
import type { BalanceKey, Transfer } from "@xenoservers/market";
import { describe, expect, it } from "vitest";
import { change, document } from "./contract.fixture.ts";
import type { Store } from "./store.ts";

export function figuresContract(name: string, open: () => Promise<Store>): void {
  describe(`what is watched: ${name}`, () => {
    it("says what lies in each pot: the broker's own apart, and nothing that is no money or lies outside", async () => {
      const store = await open();
      const move = (id: string, debit: BalanceKey, credit: BalanceKey, amount: bigint): Transfer => ({
        id,
        debit,
        credit,
        amount,
        short: null,
      });
      const floors = [{ key: "source/x", floor: null } as const, { key: "sink/allowance", floor: null } as const];
      await store.commit([
        change({
          ...{ id: "one", floors },
          transfers: [
            move("in", "source/x", "a/available", 9n),
            move("hold", "a/available", "a/held", 4n),
            move("b", "source/x", "b/held", 1n),
          ],
        }),
      ]);
      await store.proveBooks();
      await store.commit([
        change({
          id: "two",
          transfers: [
            move("pay", "a/held", "b/pending", 3n),
            move("fee", "a/held", "xenocorp/pending", 1n),
            move("out", "a/available", "sink/x", 2n),
          ],
        }),
      ]);
      const pots = [
        ["parties/available", 3n],
        ["parties/held", 1n],
        ["parties/pending", 3n],
        ["xenocorp/pending", 1n],
      ] as const;
      expect((await store.proveBooks()).pots).toEqual(new Map(pots));
    });

    it("counts what is live and what waits", async () => {
      const store = await open();
      const row = (kind: "lease" | "batch", id: string, state: string, deadlineAt: number | null) =>
        ({ kind, id, expect: 0, data: { id, state, holdNanos: "0", issuedAt: 1, deadlineAt } as never }) as const;
      expect(await store.figures(10)).toEqual({ leases: new Map(), due: { count: 0, since: null }, unlogged: 0, notes: 0 });
      const puts = [
        ...[row("lease", "aa1", "open", 10), row("lease", "aa2", "open", 11), row("lease", "aa3", "bound", null)],
        ...[row("lease", "aa4", "settled", 3), row("lease", "aa5", "final", null), row("batch", "b1", "", 2)],
      ];
      await store.commit([change({ id: "x", puts, documents: [document("d1")] })]);
      expect(await store.figures(10)).toEqual({
        ...{
          leases: new Map([
            ["open", 2],
            ["bound", 1],
          ]),
          due: { count: 3, since: 2 },
        },
        ...{ unlogged: 1, notes: 0 },
      });
    });
  });
}
