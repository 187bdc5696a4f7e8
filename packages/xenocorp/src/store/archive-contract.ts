/** What every Store must do with leases whose documents lie in the archive. */
import { describe, expect, it } from "vitest";
import { ArchiveAway, NO_ARCHIVE, type ArchiveReader } from "./archived.ts";
import { change, document } from "./contract.fixture.ts";
import type { Store } from "./store.ts";

const PLACE = { file: "f", start: 7, bytes: 9, digest: "d" };

const lease = (id: string, toldAt: number, state: string) => ({
  kind: "lease" as const,
  id,
  expect: 0,
  data: { id, state, toldAt, issuedAt: 1, holdNanos: "0", deadlineAt: null } as never,
});

export function archiveContract(name: string, open: (archive?: ArchiveReader) => Promise<Store>): void {
  describe(`store contract, the archive: ${name}`, () => {
    it("names what is over for long, the oldest first, across digits, until it is there", async () => {
      const store = await open();
      const over = [9, 10, 99, 100, 999, 1_000].map((at) => lease(`a${at}`, at, at % 2 === 0 ? "lapsed" : "final"));
      const others = ["open", "settled", "disputed", "closed"].map((state, i) => lease(`b${i}`, 1, state));
      await store.commit([change({ id: "c", puts: [...over.toReversed(), ...others] })]);
      expect(await store.toArchive(1_000, 9)).toEqual(["a9", "a10", "a99", "a100", "a999"]);
      expect(await store.toArchive(1_001, 2)).toEqual(["a9", "a10"]);
      await store.commit([change({ id: "d", documents: [document("d9", "a9"), document("d10", "a10"), document("e10", "a10")] })]);
      expect(await store.archive("a9", PLACE, ["d9"])).toBe(true);
      expect(await store.archive("a9", { ...PLACE, start: 8 }, ["d9"])).toBe(false);
      expect(await store.archive("b0", PLACE, [])).toBe(false);
      expect(await store.archive("nobody", PLACE, [])).toBe(false);
      expect(await store.toArchive(1_001, 2)).toEqual(["a10", "a99"]);
    });

    it("has documents from there as if they were here, those of others untouched, and says where it cannot", async () => {
      const kept = document("d1", "aa1").envelope;
      const asked: unknown[] = [];
      let isThere = true;
      const archive: ArchiveReader = {
        readRows: NO_ARCHIVE.readRows,
        async read(place, ids) {
          asked.push([place, ids]);
          if (!isThere) throw new ArchiveAway("gone");
          return new Map([["d1", kept]]);
        },
      };
      const store = await open(archive);
      const documents = [document("d1", "aa1"), document("d2", "aa1"), document("d3", "bb1")];
      await store.commit([change({ id: "c", puts: [lease("aa1", 5, "final"), lease("bb1", 5, "final")], documents })]);
      // a document of another lease is none of this one's
      expect(await store.archive("aa1", PLACE, ["d1", "d3"])).toBe(true);
      expect(await store.documentsOf("aa1")).toEqual(documents.slice(0, 2));
      expect(asked).toEqual([[PLACE, ["d1"]]]);
      expect(await store.document("d1")).toEqual(documents[0]);
      expect(await store.document("d2")).toEqual(documents[1]);
      expect(await store.documentsOf("bb1")).toEqual([documents[2]]);
      expect(asked).toHaveLength(2);
      const { envelope: _signed, ...rest } = document("d1", "aa1");
      expect((await store.logPending(9))[0]).toMatchObject(rest);
      isThere = false;
      await expect(store.documentsOf("aa1")).rejects.toThrow(ArchiveAway);
      await expect(store.document("d1")).rejects.toThrow(ArchiveAway);
      expect((await store.logPending(9)).map(({ id }) => id)).toEqual(["d1", "d2", "d3"]);
    });
  });
}
