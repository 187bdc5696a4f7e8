import { describe, expect, it } from "vitest";
import { change, document, reader } from "../store/contract.fixture.ts";
import { createMemoryStore } from "../store/memory.ts";
import { dropOld } from "./retention.ts";

const AN_HOUR = 3_600_000;
const KEPT = { eventsMs: 10 * AN_HOUR, answersMs: AN_HOUR };

describe("what is too old", () => {
  const clock = { now: 0 };
  const store = createMemoryStore(() => clock.now);
  const happen = (id: string) =>
    store.commit([
      change({
        id,
        uniques: [`unique-${id}`],
        floors: [{ key: "source/x", floor: null }],
        transfers: [{ id: `t-${id}`, debit: "source/x", credit: "a/available", amount: 1n, short: null }],
        documents: [document(id)],
        events: [{ party: "p_1", kind: id, lease: null, data: {}, at: clock.now }],
      }),
    ]);
  const left = async () => ({
    answers: (await Promise.all(["old", "new"].map((id) => store.answerTo(id)))).filter((answer) => answer !== null).length,
    events: (await store.events(reader("p_1"), null, 9))?.length,
  });

  it("goes, each in its time, and nothing that money or a proof needs goes with it", async () => {
    await happen("old");
    clock.now = AN_HOUR;
    await happen("new");
    expect(await dropOld(store, clock.now, KEPT)).toBe(0);
    expect(await left()).toEqual({ answers: 2, events: 2 });
    clock.now += 1;
    expect(await dropOld(store, clock.now, KEPT)).toBe(1);
    expect(await left()).toEqual({ answers: 1, events: 2 });
    clock.now = 10 * AN_HOUR + 1;
    expect(await dropOld(store, clock.now, KEPT)).toBe(2);
    expect(await dropOld(store, clock.now, KEPT)).toBe(0);
    expect(await left()).toEqual({ answers: 0, events: 1 });
    expect((await store.balances(["a/"])).get("a/available")).toBe(2n);
    expect((await store.statement("a", null, 9)).rows).toHaveLength(2);
    expect((await store.logPending(9)).map(({ id }) => id)).toEqual(["old", "new"]);
    expect(await store.document("old")).not.toBeNull();
    expect(await store.commit([change({ id: "again", uniques: ["unique-old"] })])).toMatchObject([{ status: "id_reused" }]);
  });
});
