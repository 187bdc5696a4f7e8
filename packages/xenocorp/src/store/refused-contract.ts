/** What every Store must do with a change that it cannot hold: that one alone fails, and leaves no trace. */
import type { Transfer } from "@xenoservers/market";
import { describe, expect, it } from "vitest";
import { change, document, reader } from "./contract.fixture.ts";
import type { Change, Put, Store } from "./store.ts";

const INT64_MAX = 2n ** 63n - 1n;
const FLOORS = [{ key: "source/x" as const, floor: null }];
const give = (id: string, amount: bigint): Transfer => ({ id, debit: "source/x", credit: "a/available", amount, short: null });
const put = (value: unknown): Put => ({ kind: "setting", id: "bad", expect: 0, data: { id: "bad", value: value as never } });

/** Each with everything that must not be there afterwards. */
const UNHELD: [string, Partial<Change>][] = [
  ["a name twice", { uniques: ["twice", "twice"] }],
  ["a row twice", { puts: [put(1), put(2)] }],
  ["a document twice", { documents: [document("bad"), document("bad")] }],
  ["a character that no text has", { puts: [put("a\0b")] }],
  ["half a character", { puts: [put("a\ud800b")] }],
  ["half a character in a name", { puts: [put({ "\udc00": 1 })] }],
  ["an amount of nothing", { transfers: [give("bad", 0n)] }],
  ["an amount below nothing", { transfers: [give("bad", -1n)] }],
  ["an amount that is too large", { transfers: [give("bad", INT64_MAX + 1n)] }],
  ["a sum that is too large", { transfers: [give("bad", INT64_MAX)] }],
  ["a floor that is too low", { floors: [...FLOORS, { key: "b/available", floor: -INT64_MAX - 2n }] }],
];

export function refusedContract(name: string, open: () => Promise<Store>): void {
  describe(`store contract, changes that cannot be held: ${name}`, () => {
    it.each(UNHELD)("fails alone among others: %s", async (_, over) => {
      const store = await open();
      const event = (kind: string) => ({ party: "p_1", kind, lease: null, data: {}, at: 1 });
      const good = (id: string): Change =>
        change({ id, floors: FLOORS, uniques: [id], documents: [document(id)], transfers: [give(id, 2n)], events: [event(id)] });
      const bad = change({ id: "bad", floors: FLOORS, uniques: ["u"], documents: [document("other")], events: [event("bad")], ...over });
      // where it stands among the others is nothing to any of them
      const before = Array.from({ length: 5 }, (_, i) => good(`before${i}`));
      const after = [good("after0"), change({ id: "after1", uniques: ["u", "after0"] }), good("after2")];
      const statuses = (await store.commit([...before, bad, ...after])).map(({ status }) => status);
      expect(statuses).toEqual([...before.map(() => "applied"), "refused", "applied", "id_reused", "applied"]);
      const applied = [...before.map(({ id }) => id), "after0", "after2"];
      expect((await store.balances(["a/"])).get("a/available")).toBe(2n * BigInt(applied.length));
      expect((await store.logPending(99)).map(({ id }) => id)).toEqual(applied);
      expect((await store.events(reader("p_1"), null, 99))?.map(({ kind }) => kind)).toEqual(applied);
      expect((await store.load("setting", ["bad"])).size).toBe(0);
      expect(await store.answerTo("bad")).toBeNull();
      expect((await store.proveBooks()).wrong).toEqual([]);
      // neither its names nor its id are taken, and what is done is done once
      expect((await store.commit([change({ id: "bad", uniques: ["u"] }), good("after2")])).map(({ status }) => status)).toEqual([
        "applied",
        "replayed",
      ]);
    });

    it("is another than one with the words for such a character in it", async () => {
      const store = await open();
      const value = "a\\u0000b\\ud800";
      const [done] = await store.commit([change({ id: "words", puts: [put(value)] })]);
      expect(done?.status).toBe("applied");
      expect((await store.load("setting", ["bad"])).get("bad")?.data.value).toBe(value);
    });

    it("fails each where none can be held", async () => {
      const store = await open();
      const all = Array.from({ length: 4 }, (_, i) => change({ id: `c${i}`, uniques: ["u", "u"] }));
      expect((await store.commit(all)).map(({ status }) => status)).toEqual(all.map(() => "refused"));
    });
  });
}
