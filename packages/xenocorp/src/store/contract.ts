/** What every Store must do. The memory twin and Postgres both pass it. */
import { Ledger, moneyKey, type MoneyKey, type Transfer } from "@xenoservers/market";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { archiveContract } from "./archive-contract.ts";
import type { ArchiveReader } from "./archived.ts";
import { rowsContract } from "./rows-contract.ts";
import { pagesContract } from "./pages-contract.ts";
import { change, document, reader } from "./contract.fixture.ts";
import { refusedContract } from "./refused-contract.ts";
import { waitingContract } from "./waiting-contract.ts";
import type { Reader } from "./reader.ts";
import { SEALED_OWNER_SHARE, TURN_MS, type KeyRow, type SealedRow, type Store } from "./store.ts";

const key = (id: string, over: Partial<KeyRow> = {}): KeyRow => ({
  ...{ id, party: "p_1", role: "device", label: "d", scopes: ["read"], account: null, leaseLabel: null, maxSpendPerDayNanos: null },
  ...{ expiresAt: null, revokedAt: null, grant: "g", announced: null, grantedBy: null, revocation: null, ...over },
});

const sealed = (lease: string, over: Partial<SealedRow> = {}): SealedRow => ({
  ...{ lease, part: 0, owner: `owner-of-${lease}` },
  bytes: Uint8Array.of(1, 0, 255),
  digest: `of-${lease}`,
  at: 5,
  until: 10,
  ...over,
});

export function storeContract(name: string, open: (archive?: ArchiveReader) => Promise<Store>): void {
  archiveContract(name, open);
  pagesContract(name, open);
  rowsContract(name, open);
  refusedContract(name, open);
  waitingContract(name, open);
  describe(`store contract: ${name}`, () => {
    it("applies a change once and answers repetitions", async () => {
      const store = await open();
      const first = change({
        id: "c1",
        floors: [{ key: "source/x", floor: null }],
        transfers: [{ id: "t1", debit: "source/x", credit: "a/available", amount: 5n, short: null }],
      });
      expect(await store.commit([first, first])).toEqual([
        { status: "applied", answer: { id: "c1" } },
        { status: "replayed", answer: { id: "c1" } },
      ]);
      expect(await store.commit([{ ...first, answer: { other: true } }])).toEqual([{ status: "replayed", answer: { id: "c1" } }]);
      expect((await store.balances(["a/"])).get("a/available")).toBe(5n);
      expect(await store.answerTo("c1")).toEqual({ id: "c1" });
    });

    it("refuses a stale version, a used unique and an overdraft without a trace", async () => {
      const store = await open();
      const put = (id: string, expected: number) =>
        change({ id, puts: [{ kind: "setting" as const, id: "s", expect: expected, data: { id: "s", value: id } }] });
      expect((await store.commit([put("v1", 0), put("v2", 0), put("v3", 1), put("v4", 1)])).map((r) => r.status)).toEqual([
        "applied",
        "conflict",
        "applied",
        "conflict",
      ]);
      expect((await store.load("setting", ["s"])).get("s")).toEqual({ version: 2, data: { id: "s", value: "v3" } });
      expect(
        (await store.commit([change({ id: "u1", uniques: ["k"] }), change({ id: "u2", uniques: ["k"] })])).map((r) => r.status),
      ).toEqual(["applied", "id_reused"]);
      expect(
        await store.commit([
          change({
            id: "b1",
            documents: [document("d1")],
            transfers: [{ id: "t", debit: "poor/available", credit: "b/available", amount: 3n, short: null }],
          }),
        ]),
      ).toEqual([{ status: "below_floor", key: "poor/available", missing: 3n }]);
      expect(await store.document("d1")).toBeNull();
      expect(await store.answerTo("b1")).toBeNull();
      expect((await store.balances(["b/"])).get("b/available") ?? 0n).toBe(0n);
    });

    it("gives the same result codes as the ledger's model", async () => {
      const store = await open();
      const keys = ["a", "b", "c", "source"] as const;
      const of = (prefix: string, key: string): MoneyKey => moneyKey(prefix + key, "available");
      const transfers = fc.array(
        fc
          .record({ debit: fc.constantFrom(...keys), credit: fc.constantFrom(...keys), amount: fc.bigInt(1n, 20n) })
          .filter((t) => t.debit !== t.credit),
        { minLength: 1, maxLength: 4 },
      );
      const floors = fc.array(fc.record({ key: fc.constantFrom("b", "c"), floor: fc.option(fc.bigInt(-30n, 0n)) }), { maxLength: 1 });
      let run = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(fc.record({ transfers, floors }), { minLength: 1, maxLength: 12 }), async (batch) => {
          run++;
          const prefix = `run${run}-`;
          const model = new Ledger();
          const changes = batch.map(({ transfers: list, floors: bounds }, i) =>
            change({
              id: `${prefix}${i}`,
              floors: [{ key: of(prefix, "source"), floor: null }, ...bounds.map((f) => ({ key: of(prefix, f.key), floor: f.floor }))],
              transfers: list.map((t, j) => ({
                id: `${prefix}${i % 7}/${j}`,
                debit: of(prefix, t.debit),
                credit: of(prefix, t.credit),
                amount: t.amount,
                short: null,
              })),
            }),
          );
          const expected = changes.map((c) => model.apply(c.floors, c.transfers));
          const got = await store.commit(changes);
          expect(got.map((r) => (r.status === "below_floor" ? { code: r.status, key: r.key, missing: r.missing } : null))).toEqual(
            expected,
          );
          const balances = await store.balances([prefix]);
          for (const [key, row] of model.balances) expect(balances.get(key) ?? 0n).toBe(row.amount);
        }),
        { numRuns: 40 },
      );
    });

    it("finds leases, deadlines, documents and events", async () => {
      const store = await open();
      const lease = (id: string, over: object) => ({
        kind: "lease" as const,
        id,
        expect: 0,
        data: {
          id,
          customer: "p_1",
          owner: "p_2",
          server: "s_1",
          state: "open",
          issuedAt: 1,
          holdNanos: "3",
          deadlineAt: 10,
          ...over,
        } as never,
      });
      const event = (kind: string) => ({ party: "p_1", kind, lease: null, data: {}, at: 1 });
      await store.commit([
        change({
          id: "l1",
          puts: [lease("aa1", {}), lease("ab2", { state: "final", deadlineAt: null, issuedAt: 2 })],
          documents: [document("d1", "aa1"), document("d2", "aa1")],
          events: [event("one"), event("two")],
        }),
        change({ id: "l2", events: [event("three"), { ...event("x"), party: "p_9" }] }),
      ]);
      expect((await store.leasesOf(reader("p_1"), false, null, 10)).rows.map((l) => l.id)).toEqual(["ab2", "aa1"]);
      expect((await store.leasesOf(reader("p_2"), true, null, 10)).rows.map((l) => l.id)).toEqual(["aa1"]);
      expect((await store.leasesServerMustKnow("s_1")).map((l) => l.id)).toEqual(["aa1"]);
      expect((await store.findLeases(reader("p_1"), "a")).sort()).toEqual(["aa1", "ab2"]);
      expect(await store.due("lease", 9, 10, "broker")).toEqual([]);
      expect(await store.due("lease", 10, 10, "broker")).toEqual(["aa1"]);
      expect((await store.documentsOf("aa1")).map((d) => d.id)).toEqual(["d1", "d2"]);
      const after = async (id: string | null, limit: number) => (await store.documentsAfter("aa1", id, limit)).map((d) => d.id);
      expect(await Promise.all([after(null, 1), after("d1", 1), after("d2", 9), after(null, 9)])).toEqual([
        ["d1"],
        ["d2"],
        [],
        ["d1", "d2"],
      ]);
      expect((await store.lastDocumentOf("aa1"))?.id).toBe("d2");
      const claims = (["claim", "claim-receipt"] as const).map((kind) => ({ ...document(kind, "aa1"), kind }));
      await store.commit([change({ id: "claimed", documents: [...claims, document("d3", "aa1")] })]);
      const brief = async (id: string | null, limit: number) => (await store.documentsAfter("aa1", id, limit, true)).map((d) => d.id);
      expect(await Promise.all([brief(null, 9), brief(null, 2), brief("d1", 9), brief("claim", 9)])).toEqual([
        ["d1", "d2", "d3"],
        ["d1", "d2"],
        ["d2", "d3"],
        ["d3"],
      ]);
      expect(await store.lastDocumentOf("none")).toBeNull();
      const first = (await store.events(reader("p_1"), null, 2)) ?? [];
      expect(first.map((e) => e.kind)).toEqual(["one", "two"]);
      expect((await store.events(reader("p_1"), first[1]!.cursor, 10))?.map((e) => e.kind)).toEqual(["three"]);
      expect((await store.audit()).liveHolds).toBe(3n);
    });

    it("gives the servers whose offer is good for a while yet, and no others", async () => {
      const store = await open();
      const server = (id: string, validUntil: number | null) => ({
        kind: "server" as const,
        id,
        expect: 0,
        data: { id, owner: "p_1", key: "k", sequence: 1, offerId: "o", offer: validUntil === null ? null : { validUntil } } as never,
      });
      await store.commit([change({ id: "s", puts: [server("s_old", 9), server("s_new", 11), server("s_gone", null)] })]);
      expect((await store.listedServers(10)).map(({ id }) => id)).toEqual(["s_new"]);
    });

    it("gives balances by the beginnings of their keys, each once", async () => {
      const store = await open();
      const give = (key: MoneyKey): Transfer => ({ id: key, debit: "source/x", credit: key, amount: 1n, short: null });
      const KEYS: MoneyKey[] = ["a/available", "a/held", "a0/held", "ä/held", "b/held"];
      await store.commit([change({ id: "b", floors: [{ key: "source/x", floor: null }], transfers: KEYS.map(give) })]);
      expect([...(await store.balances(["a/", "a/held", "b"])).keys()].sort()).toEqual(["a/available", "a/held", "b/held"]);
      expect([...(await store.balances(["ä/"])).keys()]).toEqual(["ä/held"]);
      expect((await store.balances([])).size).toBe(0);
    });

    it("proves what has moved since the last proof, once", async () => {
      const store = await open();
      const give = (id: string) =>
        change({
          id,
          floors: [{ key: "source/x", floor: null }],
          transfers: [{ id, debit: "source/x", credit: "a/held", amount: 2n, short: null }],
        });
      await store.commit([give("one"), give("two")]);
      expect(await store.proveBooks()).toEqual({
        ...{ wrong: [], transfers: 2, liveHolds: 0n, held: 4n },
        pots: new Map([["parties/held", 4n]]),
      });
      expect(await store.proveBooks()).toMatchObject({ wrong: [], transfers: 0, pots: new Map([["parties/held", 4n]]) });
      await store.commit([give("three")]);
      expect(await store.proveBooks()).toMatchObject({ wrong: [], transfers: 1, held: 6n, pots: new Map([["parties/held", 6n]]) });
    });

    it("appends to the log on one condition only", async () => {
      const store = await open();
      const head = { epoch: 1, id: "e1", size: 0, root: "00", checkpoint: "c0" };
      await store.logStartEpoch(head, document("d0"));
      await store.commit([change({ id: "x", documents: [document("d1"), document("d2")] })]);
      const pending = await store.logPending(10);
      expect(pending.map((d) => d.id)).toEqual(["d0", "d1", "d2"]);
      const append = {
        epoch: 1,
        oldSize: 0,
        leaves: pending.map((d) => ({ documentId: d.id, hash: d.leaf })),
        nodes: [
          { level: 0, index: 0, hash: "h0" },
          { level: 0, index: 1, hash: "h1" },
        ],
        head: { ...head, size: 3, checkpoint: "c3" },
      };
      expect(await Promise.all([store.logAppend(append), store.logAppend(append)].map((p) => p.catch(() => false)))).toEqual(
        expect.arrayContaining([true, false]),
      );
      expect(await store.logPending(10)).toEqual([]);
      expect(await store.logHead()).toMatchObject({ id: "e1", size: 3, checkpoint: "c3" });
      expect(await store.logIndexesOf(["leaf-d2", "leaf-none", "leaf-d0"])).toEqual(
        new Map([
          ["leaf-d2", 2],
          ["leaf-d0", 0],
        ]),
      );
      expect(
        await store.logNodes([
          { level: 0, index: 1 },
          { level: 0, index: 0 },
        ]),
      ).toEqual(["h1", "h0"]);
      expect((await store.logEntries(0, 5)).map((d) => d.id)).toEqual(["d0", "d1", "d2"]);
    });

    it("starts another epoch with its own document first, and keeps the nodes of the one before", async () => {
      const store = await open();
      const head = { epoch: 1, id: "e1", size: 0, root: "00", checkpoint: "c0" };
      await store.logStartEpoch(head, document("d0"));
      await store.commit([change({ id: "x", documents: [document("d1")] })]);
      const nodes = [{ level: 0, index: 0, hash: "h0" }];
      const leaves = [{ documentId: "d0", hash: "leaf-d0" }];
      expect(await store.logAppend({ epoch: 1, oldSize: 0, leaves, nodes, head: { ...head, size: 1 } })).toBe(true);
      await store.logStartEpoch({ ...head, epoch: 2, id: "e2" }, document("d2"));
      expect((await store.logHeads()).map(({ id, size }) => [id, size])).toEqual([
        ["e1", 1],
        ["e2", 0],
      ]);
      expect(await store.logHead()).toMatchObject({ epoch: 2, id: "e2", size: 0 });
      expect((await store.logPending(10)).map(({ id }) => id)).toEqual(["d2", "d0", "d1"]);
      expect(await store.logNodes([{ level: 0, index: 0 }], 1)).toEqual(["h0"]);
      await expect(store.logNodes([{ level: 0, index: 0 }])).rejects.toThrow("is missing");
      expect(await store.logIndexesOf(["leaf-d0"])).toEqual(new Map());
      // an epoch begins once: who comes second begins none, and leaves none of its document
      const again = await store.logStartEpoch({ ...head, epoch: 2, id: "e3" }, document("d3")).catch(() => "refused");
      expect(again).toBe("refused");
      expect(await store.document("d3")).toBeNull();
    });

    it("shows each reader its own leases and events only", async () => {
      const store = await open();
      const lease = (id: string, account: string, label: string, serverKey: string) => ({
        kind: "lease" as const,
        id,
        expect: 0,
        data: {
          id,
          customer: "p_1",
          owner: "p_2",
          account,
          label,
          serverKey,
          server: "s",
          state: "open",
          issuedAt: 1,
          holdNanos: "3",
          deadlineAt: null,
        } as never,
      });
      const event = (party: string, of: string | null) => ({ party, kind: `of-${of}`, lease: of, data: {}, at: 1 });
      await store.commit([
        change({
          id: "c",
          puts: [lease("a1", "A", "x", "k1"), lease("a2", "A", "y", "k2"), lease("b1", "B", "x", "k1")],
          events: ["a1", "a2", "b1", null].flatMap((of) => [event("p_1", of), event("p_2", of)]),
        }),
      ]);
      const readers: [Reader, string[]][] = [
        [reader("p_1"), ["a1", "a2", "b1"]],
        [reader("p_1", { account: "A" }), ["a1", "a2"]],
        [reader("p_1", { label: "x" }), ["a1", "b1"]],
        [reader("p_1", { account: "A", label: "x" }), ["a1"]],
        [reader("p_1", { account: "C" }), []],
        [reader("p_2"), ["a1", "a2", "b1"]],
        [reader("p_2", { serverKey: "k1" }), ["a1", "b1"]],
        [reader("p_2", { account: "A" }), []],
        [reader("p_2", { label: "x" }), []],
        [reader("p_1", { serverKey: "k1" }), []],
        [reader("p_3"), []],
      ];
      for (const [who, leases] of readers) {
        expect((await store.leasesOf(who, true, null, 9)).rows.map(({ id }) => id).sort(), JSON.stringify(who)).toEqual(leases);
        expect(await store.heldBy(who)).toBe(3n * BigInt(leases.length));
        expect((await Promise.all(["a", "b"].map((prefix) => store.findLeases(who, prefix)))).flat().sort()).toEqual(leases);
        const bound = who.account !== null || who.label !== null || who.serverKey !== null;
        const all = who.party === "p_3" || bound ? [] : ["of-null"];
        expect((await store.events(who, null, 9))?.map(({ kind }) => kind)).toEqual([...leases.map((id) => `of-${id}`), ...all]);
      }
      expect((await store.leasesOf(reader("p_1", { account: "A" }), false, null, 1)).rows).toHaveLength(1);
    });

    it("gives a due timer to one broker at a time, and to another when that one gave it back or kept it too long", async () => {
      const store = await open();
      const data = { id: "aa1", deadlineAt: 10 } as never;
      await store.commit([change({ id: "l", puts: [{ kind: "lease", id: "aa1", expect: 0, data }] })]);
      const both = await Promise.all(["one", "other"].map((by) => store.due("lease", 10, 10, by)));
      expect(both.flat()).toEqual(["aa1"]);
      const [taker, other] = both[0]?.length === 1 ? (["one", "other"] as const) : (["other", "one"] as const);
      expect(await store.due("lease", 11, 10, taker)).toEqual(["aa1"]);
      await store.giveBack("lease", ["aa1"], other);
      expect(await store.due("lease", 11 + TURN_MS - 1, 10, other)).toEqual([]);
      expect(await store.due("lease", 11 + TURN_MS, 10, other)).toEqual(["aa1"]);
      await store.giveBack("lease", ["aa1"], other);
      expect(await store.due("lease", 12 + TURN_MS, 10, taker)).toEqual(["aa1"]);
    });

    it("takes the answer to a challenge once, and forgets it when it is over", async () => {
      const store = await open();
      const tries = await Promise.all(Array.from({ length: 4 }, () => store.useChallenge("c", 100, 50)));
      expect(tries.filter(Boolean)).toHaveLength(1);
      expect(await store.useChallenge("d", 200, 100)).toBe(true);
      expect(await store.useChallenge("d", 200, 100)).toBe(false);
    });

    it("tells which keys were ended lately", async () => {
      const store = await open();
      const keys = [key("k1"), key("k2", { revokedAt: 100 }), key("k3", { revokedAt: 200, role: "server" })];
      await store.commit([change({ id: "c", puts: keys.map((data) => ({ kind: "key" as const, id: data.id, expect: 0, data })) })]);
      const since = async (at: number) => (await store.keysRevokedSince(at)).map(({ id }) => id).sort();
      expect(await since(0)).toEqual(["k2", "k3"]);
      expect(await since(100)).toEqual(["k2", "k3"]);
      expect(await since(101)).toEqual(["k3"]);
      expect(await since(201)).toEqual([]);
      const more = [key("k4", { expiresAt: 150 }), key("k5", { party: "p_2" })];
      await store.commit([change({ id: "d", puts: more.map((data) => ({ kind: "key" as const, id: data.id, expect: 0, data })) })]);
      const keysAt = async (at: number, endedMax: number) => (await store.keysOf("p_1", at, endedMax)).map(({ id }) => id);
      expect((await keysAt(149, 0)).sort()).toEqual(["k1", "k4"]);
      expect(await keysAt(300, 0)).toEqual(["k1"]);
      expect(await keysAt(300, 2)).toEqual(["k1", "k3", "k4"]);
    });

    it("keeps the documents of a rare kind together", async () => {
      const store = await open();
      await store.commit([
        change({ id: "c", documents: [{ ...document("r1"), kind: "referee" }, document("d1"), { ...document("r2"), kind: "referee" }] }),
      ]);
      expect((await store.documentsOfKind("referee")).map(({ id }) => id)).toEqual(["r1", "r2"]);
    });

    it("keeps sealed parts, the first bytes of each, up to a bound and until their time", async () => {
      const store = await open();
      const most = 3 * SEALED_OWNER_SHARE - 1;
      expect(await store.putSealed(sealed("l1", { owner: "o1", bytes: Uint8Array.of(1, 0) }), most)).toBe("of-l1");
      expect(await store.putSealed(sealed("l1", { digest: "other", bytes: Uint8Array.of(9) }), most)).toBe("of-l1");
      expect(await store.putSealed(sealed("l2", { bytes: Uint8Array.of(7), until: 20 }), most)).toBe("of-l2");
      const kept = await store.getSealed("l1", 0);
      const row = { lease: "l1", part: 0, owner: "o1", bytes: [1, 0], digest: "of-l1", at: 5, until: 10 };
      expect({ ...kept, bytes: [...(kept?.bytes ?? [])] }).toEqual(row);
      expect(await store.getSealed("l1", 1)).toBeNull();
      expect(await store.sealedDigests("l2")).toEqual(["of-l2"]);
      expect(await store.dropSealed(9)).toBe(0);
      expect(await store.dropSealed(10)).toBe(1);
      expect(await store.sealedDigests("l1")).toEqual([]);
      expect(await store.putSealed(sealed("l1", { digest: "anew", bytes: Uint8Array.of(1) }), most)).toBe("anew");
    });

    it("names the sealed parts of a lease in their order, up to where one is missing", async () => {
      const store = await open();
      const put = (part: number) => store.putSealed(sealed("l1", { part, digest: `part ${part}` }), 1_000);
      for (const part of [0, 3, 1, 10]) await put(part);
      await store.putSealed(sealed("l2", { part: 2 }), 1_000);
      expect(await store.sealedDigests("l1")).toEqual(["part 0", "part 1"]);
      expect(await store.sealedDigests("l2")).toEqual([]);
      await put(2);
      expect(await store.sealedDigests("l1")).toEqual(["part 0", "part 1", "part 2", "part 3"]);
      expect(await store.dropSealed(10)).toBe(6);
    });

    it("never keeps more sealed bytes than the bound, nor more of one owner than its share, however many come at once", async () => {
      const store = await open();
      const all = await Promise.all(Array.from({ length: 12 }, (_, i) => store.putSealed(sealed(`l${i}`), 15)));
      expect(all.filter((digest) => digest !== null)).toHaveLength(5);
      const ofOne = await Promise.all(Array.from({ length: 12 }, (_, i) => store.putSealed(sealed(`m${i}`, { owner: "one" }), 36)));
      expect(ofOne.filter((digest) => digest !== null)).toHaveLength(3);
    });
  });
}
