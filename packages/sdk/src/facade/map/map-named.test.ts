/** Many jobs as one by a name, on a market of paper: what a later call takes, follows and pays, from wherever the first was left. */
import { describe, expect, it } from "vitest";
import { lines, quiet, run, words } from "./map-run.fixture.ts";
import { PaperWays } from "./paper-ways.fixture.ts";

describe("a map with a name", () => {
  const named = { resume: "n", parallel: 2 };

  it("orders nothing again, wherever an input stands, and runs a changed one anew", async () => {
    const ways = new PaperWays();
    ways.comesTo = (work) => ({ exitCode: work === "b" ? 1 : 0 });
    const first = await run(ways, ["a", "b", "a"], named).all;
    const again = await run(ways, ["new", "b", "a", "a"], named).all;
    expect(words(again)).toEqual(["new", "!b", "a", "a"]);
    expect(ways.ordered.toSorted()).toEqual(["a", "a", "b", "new"]);
    expect(again.map(({ isEarlier }) => isEarlier)).toEqual([false, true, true, true]);
    expect(new Set([first[0]?.result?.lease, first[2]?.result?.lease])).toEqual(
      new Set([again[2]?.result?.lease, again[3]?.result?.lease]),
    );
    expect(again[3]?.result?.printed).toEqual(first[0]?.result?.printed);
  });

  it("forgets what is of no input any more, when all is done", async () => {
    const ways = new PaperWays();
    await run(ways, ["a", "b"], named).all;
    await run(ways, ["b"], named).all;
    expect(ways.place.results.size).toBe(1);
    await run(ways, ["a"], named).all;
    expect(ways.ordered).toEqual(["a", "b", "a"]);
  });

  it("that is called off lets what runs run on, and goes on with it", async () => {
    const ways = new PaperWays();
    ways.comesTo = () => null;
    const off = new AbortController();
    const { all } = run(ways, ["a", "b", "c"], { ...named, signal: off.signal });
    await quiet();
    off.abort();
    await expect(all).rejects.toMatchObject({ code: "left_undone", message: expect.stringContaining("by the name 'n'") as string });
    for (const order of ways.leases.keys()) ways.end(order, {});
    ways.comesTo = () => ({});
    expect(words(await run(ways, ["a", "b", "c"], named).all)).toEqual(["a", "b", "c"]);
    expect(ways.ordered).toEqual(["a", "b", "c"]);
  });

  it("that is called off stops what runs where that is wanted, which a later call runs anew", async () => {
    const ways = new PaperWays();
    ways.comesTo = () => null;
    const off = new AbortController();
    const { all } = run(ways, ["a", "b", "c"], { ...named, stops: true, signal: off.signal });
    await quiet();
    off.abort();
    await expect(all).rejects.toMatchObject({ message: expect.stringContaining("what ran was stopped; go on by the name 'n'") as string });
    for (const { end } of ways.leases.values()) expect((await end.promise).end.reason).toBe("customer-stop");
    ways.comesTo = () => ({});
    expect(words(await run(ways, ["a", "b", "c"], named).all)).toEqual(["a", "b", "c"]);
    expect(ways.ordered).toEqual(["a", "b", "a", "b", "c"]);
  });

  it("that is called off leaves no job at a server that has not all of it", async () => {
    const ways = new PaperWays();
    ways.comesTo = () => null;
    ways.isThere = false;
    const off = new AbortController();
    const { all } = run(ways, ["a"], { ...named, signal: off.signal });
    await quiet();
    off.abort();
    await expect(all).rejects.toThrow(/called off/);
    for (const { end } of ways.leases.values()) expect((await end.promise).end.reason).toBe("customer-stop");
  });

  it("that is called off while an order is answered lets go of that one too", async () => {
    const ways = new PaperWays();
    ways.comesTo = () => null;
    const answer = Promise.withResolvers<void>();
    ways.answers = () => answer.promise;
    const off = new AbortController();
    const { all } = run(ways, ["a", "b"], { resume: "m", parallel: 2, signal: off.signal });
    await quiet();
    off.abort(new Error("interrupted"));
    await quiet();
    answer.resolve();
    await expect(all).rejects.toThrow(/called off with 0 of 2 done/);
    expect((await lines(ways, ["a", "b"])).map(({ lease }) => lease)).toEqual([...ways.leases.keys()]);
    ways.answers = null;
    const later = run(ways, ["a", "b"], { resume: "m" }).all;
    for (const order of ways.leases.keys()) ways.end(order, {});
    expect(words(await later)).toEqual(["a", "b"]);
    expect(ways.ordered).toEqual(["a", "b"]);
  });

  it("is gone on with from every moment in which a program can be killed, without a job that is paid twice", async () => {
    // what was written by then is all that is left of the first call, and of what is written in that moment a part
    for (const part of [0, 0.5, 0.99])
      for (let moment = 0; moment < 12; moment++) {
        const ways = new PaperWays();
        const { place } = ways;
        const { write, append } = place;
        let writes = 0;
        const unlessDead = async (text: string, doing: (text: string) => Promise<void>): Promise<void> => {
          if (writes < moment) await doing(text);
          else if (writes === moment && doing === append) place.text += text.slice(0, text.length * part);
          if (writes++ >= moment) throw new Error("killed");
        };
        place.write = (text) => unlessDead(text, write);
        place.append = (text) => unlessDead(text, append);
        await run(ways, ["a", "b", "c"], named).all.catch(() => {});
        Object.assign(place, { write, append });
        for (const order of ways.leases.keys()) ways.end(order, {});
        const why = `moment ${moment}, part ${part}`;
        expect(words(await run(ways, ["a", "b", "c"], named).all), why).toEqual(["a", "b", "c"]);
        expect(ways.ordered.toSorted(), why).toEqual(["a", "b", "c"]);
      }
  });

  it("writes what has changed, not all that it knows, and can be read after a write that failed half-way", async () => {
    const ways = new PaperWays();
    const inputs = Array.from({ length: 200 }, (_, i) => i);
    let bytes = 0;
    const { append, write } = ways.place;
    let fails = true;
    ways.place.write = (text) => ((bytes += text.length), write(text));
    ways.place.append = async (text) => {
      bytes += text.length;
      if (fails) ways.place.text += text.slice(0, text.length / 2);
      if (fails) throw new Error("no space");
      await append(text);
    };
    await run(ways, inputs, named).all.catch(() => {});
    fails = false;
    bytes = 0;
    await run(ways, inputs, { ...named, parallel: 4 }).all;
    // three lines a job
    expect(bytes).toBeLessThan(200 * 3 * 600);
    expect((await lines(ways, inputs)).every(({ isOver }) => isOver)).toBe(true);
  });

  it("that was killed between its order and the answer asks by the order what came of it", async () => {
    const ways = new PaperWays();
    ways.breaks = () => new Error("killed");
    await run(ways, ["a"], named).all.catch(() => {});
    const [entry] = await lines(ways, ["a"]);
    expect(entry).toMatchObject({ order: expect.any(String) as string, lease: null });
    ways.breaks = null;
    ways.leases.set(entry!.order!, { work: "a", batch: null, holdNanos: 10n, end: Promise.withResolvers() });
    ways.end(entry!.order!, {});
    const [again] = await run(ways, ["a"], named).all;
    expect([again?.result?.lease, ways.ordered]).toEqual([entry!.order, []]);
  });

  it("runs again what was stopped or was no fault of its customer's", async () => {
    const ways = new PaperWays();
    ways.comesTo = (work) => ({ reason: work === "a" ? "customer-stop" : "server-failed" });
    await run(ways, ["a", "b"], named).all;
    ways.comesTo = () => ({});
    expect(words(await run(ways, ["a", "b"], named).all)).toEqual(["a", "b"]);
    expect(ways.ordered).toEqual(["a", "b", "a", "b"]);
  });

  it("is of one party in one market, and is not taken for another's or for nothing", async () => {
    const ways = new PaperWays();
    await run(ways, ["a"], named).all;
    ways.owner.party = "other";
    await expect(run(ways, ["a"], named).all).rejects.toMatchObject({ code: "kept_differs" });
    for (const damaged of ["{", "{}\n", `${ways.place.text?.split("\n")[0] ?? ""}\n{}\n`]) {
      ways.place.text = damaged;
      await expect(run(ways, ["a"], named).all).rejects.toMatchObject({ code: "kept_differs" });
    }
  });
});
