/** What every Store must do with leases whose rows lie in the archive. */
import { describe, expect, it } from "vitest";
import { ArchiveAway, NO_ARCHIVE, type ArchiveReader } from "./archived.ts";
import { change, reader } from "./contract.fixture.ts";
import type { LeaseRow, Store } from "./store.ts";

const RECEIPT = { file: "f", start: 7, bytes: 9, digest: "d" };
const SIDES = { customer: "p_1", account: "a_1", label: "x", owner: "p_2", serverKey: "k_1" };
const MINE = reader("p_1");

const lease = (id: string, toldAt: number, over: Partial<LeaseRow> = {}) => {
  const row = { id, ...SIDES, state: "final", toldAt, issuedAt: toldAt, holdNanos: "0", deadlineAt: null, reason: "long", ...over };
  return { kind: "lease" as const, id, expect: 0, data: row as never };
};
const placeOf = (id: string, version = 1) => ({ lease: id, version, file: "r", start: 3, bytes: 4, digest: "ab".repeat(16) });

/** An archive that holds these rows, unless they are taken away. */
class Rows implements ArchiveReader {
  readonly read = NO_ARCHIVE.read;
  readonly held = new Map<string, unknown>();
  readonly asked: unknown[] = [];

  async readRows(places: Parameters<ArchiveReader["readRows"]>[0]) {
    this.asked.push(...places);
    const there = places.filter(({ lease: id }) => this.held.has(id));
    return {
      rows: new Map(there.map(({ lease: id }) => [id, this.held.get(id)])),
      problem: there.length < places.length ? new ArchiveAway("gone") : null,
    };
  }
}

type Open = (archive?: ArchiveReader) => Promise<Store>;

/** Leases a9 to a1000, of which the receipts of all but the last lie in the archive. */
async function filled(open: Open): Promise<{ store: Store; rows: Rows }> {
  const rows = new Rows();
  const store = await open(rows);
  const puts = [9, 10, 99, 100, 1_000].map((at) => lease(`a${at}`, at));
  await store.commit([change({ id: "c", puts })]);
  for (const { id, data } of puts) rows.held.set(id, data);
  for (const { id } of puts.slice(0, 4)) await store.archive(id, RECEIPT, []);
  return { store, rows };
}

export function rowsContract(name: string, open: Open): void {
  describe(`store contract, rows in the archive: ${name}`, () => {
    it("names rows whose receipts lie there, the oldest first, until they lie there too", async () => {
      const { store } = await filled(open);
      expect(await store.isArchived()).toBe(true);
      expect(await store.rowsToArchive(9)).toEqual([9, 10, 99, 100].map((over) => ({ lease: `a${over}`, over })));
      expect(await store.archiveRows([placeOf("a10"), placeOf("a9"), placeOf("a1000"), placeOf("nobody")])).toBe(2);
      expect(await store.archiveRows([placeOf("a10"), placeOf("a99")])).toBe(1);
      expect(await store.rowsToArchive(9)).toEqual([{ lease: "a100", over: 100 }]);
      // what is archived already is not asked for again
      expect(await store.toArchive(5_000, 9)).toEqual(["a1000"]);
      expect(await (await open()).isArchived()).toBe(false);
    });

    it("has rows from there as if they were here, each in its place", async () => {
      const { store, rows } = await filled(open);
      const ids = ["a10", "a1000", "a9"];
      const [before, listed] = [await store.load("lease", ids), await store.leasesOf(MINE, false, null, 3)];
      expect(await store.archiveRows([placeOf("a9"), placeOf("a10"), placeOf("a100")])).toBe(3);
      expect(await store.load("lease", ids)).toEqual(before);
      expect(rows.asked).toHaveLength(2);
      const { version: _version, ...place } = placeOf("a10");
      expect(rows.asked).toContainEqual(place);
      expect(await store.leasesOf(MINE, false, null, 3)).toEqual(listed);
      const rest = await store.leasesOf(MINE, false, listed.next, 3);
      expect([rest.rows.map(({ id }) => id), rest.away, rest.next]).toEqual([["a10", "a9"], [], null]);
      expect(await store.leasesOf(reader("p_2", { serverKey: "k_1" }), false, null, 9)).toMatchObject({ rows: { length: 5 }, away: [] });
      expect(await store.leasesOf(reader("p_3"), false, null, 9)).toMatchObject({ rows: [], away: [] });
      expect(await store.findLeases(MINE, "a10")).toHaveLength(3);
    });

    it("says which cannot be read, gives the others, and who may see them all the same", async () => {
      const { store, rows } = await filled(open);
      await store.archiveRows([placeOf("a9"), placeOf("a10"), placeOf("a99")]);
      rows.held.delete("a10");
      const { rows: whole, away } = await store.leasesOf(MINE, false, null, 9);
      expect(whole.map(({ id }) => id)).toEqual(["a1000", "a100", "a99", "a9"]);
      expect(away).toMatchObject([{ id: "a10", state: "final", issuedAt: 10, toldAt: 10 }]);
      await expect(store.load("lease", ["a10", "a9"])).rejects.toThrow(ArchiveAway);
      expect(await store.load("lease", ["a9"])).toHaveProperty("size", 1);
      expect([...(await store.sidesOf(["a10", "a1000", "nobody"]))]).toEqual(
        expect.arrayContaining([
          ["a10", SIDES],
          ["a1000", SIDES],
        ]),
      );
      await store.commit([
        change({ id: "v", events: ["a10", "none"].map((id) => ({ party: "p_1", kind: "k", lease: id, data: {}, at: 5 })) }),
      ]);
      expect(await store.events(reader("p_1", { label: "x" }), null, 9)).toMatchObject([{ lease: "a10" }]);
    });

    it("keeps a row that changed since it was written there, or that is changed afterwards", async () => {
      const { store, rows } = await filled(open);
      const changed = (id: string, version: number) => ({ ...lease(id, 5, { label: "new" }), expect: version });
      expect(await store.commit([change({ id: "d", puts: [changed("a9", 1)] })])).toMatchObject([{ status: "applied" }]);
      expect(await store.archiveRows([placeOf("a9"), placeOf("a10")])).toBe(1);
      expect(await store.commit([change({ id: "e", puts: [changed("a10", 1)] })])).toMatchObject([{ status: "applied" }]);
      expect(await store.commit([change({ id: "f", puts: [lease("a10", 5)] })])).toMatchObject([{ status: "conflict" }]);
      rows.held.clear();
      expect([...(await store.load("lease", ["a9", "a10"])).values()]).toMatchObject([
        { version: 2, data: { label: "new", reason: "long" } },
        { version: 2, data: { label: "new", reason: "long" } },
      ]);
    });

    it("has nothing of what is over in sums of what is live", async () => {
      const { store } = await filled(open);
      await store.commit([change({ id: "l", puts: [lease("b1", 1, { state: "open", holdNanos: "7" })], transfers: [] })]);
      const before = [await store.audit(), await store.proveBooks(), await store.figures(5_000), await store.heldBy(MINE)];
      await store.archiveRows([9, 10, 99, 100].map((at) => placeOf(`a${at}`)));
      expect([await store.audit(), await store.proveBooks(), await store.figures(5_000), await store.heldBy(MINE)]).toEqual(before);
      expect(await store.leasesOf(MINE, true, null, 9)).toMatchObject({ rows: [{ id: "b1" }], away: [] });
    });
  });
}
