/** What every Store must do with orders that wait for room. */
import { describe, expect, it } from "vitest";
import { change } from "./contract.fixture.ts";
import type { OrderRow, Store } from "./store.ts";

const order = (id: string, over: Partial<OrderRow> = {}): OrderRow => ({
  ...{ id, customer: "p_1", lease: null, attempt: 0, triedServers: [], deadlineAt: null },
  ...over,
});
const waits = (id: string, since: number): OrderRow => order(id, { deadlineAt: 100, waiting: { since, until: 100 }, mayWaitUntil: 100 });

export function waitingContract(name: string, open: () => Promise<Store>): void {
  describe(`store contract, orders that wait: ${name}`, () => {
    it("names those that wait and no others, the first to come first, and when their time is over", async () => {
      const store = await open();
      const rows = [waits("o2", 7), waits("o1", 7), waits("o3", 5), order("bound", { lease: "l" })];
      const ended = order("ended", { waiting: null, refused: { code: "withdrawn", facts: {} } });
      await store.commit([
        change({ id: "c", puts: [...rows, ended].map((data) => ({ kind: "order" as const, id: data.id, expect: 0, data })) }),
      ]);
      expect(await store.waitingOrders(9)).toEqual([rows[2], rows[1], rows[0]]);
      expect((await store.waitingOrders(1)).map(({ id }) => id)).toEqual(["o3"]);
      expect(await store.due("order", 99, 9, "b")).toEqual([]);
      expect((await store.due("order", 100, 9, "b")).toSorted()).toEqual(["o1", "o2", "o3"]);
      const over = { ...waits("o3", 5), deadlineAt: null, waiting: null };
      await store.commit([change({ id: "d", puts: [{ kind: "order", id: "o3", expect: 1, data: over }] })]);
      expect((await store.waitingOrders(9)).map(({ id }) => id)).toEqual(["o1", "o2"]);
    });
  });
}
