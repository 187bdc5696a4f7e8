/** A short run of every target, always the same inputs; and that a hang, a leak and a crash are seen for what they are. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { inLanes } from "./lanes.ts";
import { fuzz, inputOf } from "./run.ts";
import { beginScratch } from "./scratch.ts";
import { TARGETS } from "./targets/index.ts";
import { watch } from "./watch.ts";

const SEED = 1;
const COUNT = 500;
const HANG = { cpuMs: 300, memoryMib: 1_024 };
const LEAK = { cpuMs: 600_000, memoryMib: 256 };

let endScratch = (): void => {};
beforeAll(() => void (endScratch = beginScratch()));
afterAll(() => endScratch());

describe("what strangers send", () => {
  it.each(TARGETS.map((target) => [target.name, target] as const))("is read or refused: %s", async (_, target) => {
    const tally = await fuzz(target, await target.corpus(), { seed: SEED, from: 0, count: COUNT });
    expect(tally.found.map(({ what, index }) => `${what} by input ${index}`)).toEqual([]);
    expect(tally.inputs).toBe(COUNT);
  });

  it("is really read: every target takes one of its own corpus", async () => {
    for (const target of TARGETS) {
      const outcomes: string[] = [];
      for (const input of await target.corpus()) outcomes.push(await target.play(input.slice()));
      expect(new Set(outcomes), target.name).toContain("accepted");
    }
  });
});

const of = (name: string) => ({ targets: new URL("planted.ts", import.meta.url).href, name, seed: SEED, from: 0, count: 20, until: null });
const planted = (name: string, bounds = HANG) => watch({ ...of(name), bounds });

describe("the fuzzer", () => {
  it("sees what never comes to an end, and goes on behind it", async () => {
    const { inputs, found } = await planted("hangs");
    expect(found.map(({ what, index }) => [what.slice(0, 4), index])).toEqual([
      ["hang", 6],
      ["hang", 10],
    ]);
    expect(inputs).toBe(20);
  });

  it("sees memory that grows, and a thread that ends by what nobody catches", async () => {
    expect((await planted("leaks", LEAK)).found[0]?.what).toMatch(/^crash/);
    expect((await planted("crashes")).found[0]?.what).toMatch(/^crash: nobody catches this/);
  });

  it("sees what goes deeper than a program's stack", async () => {
    expect((await planted("nests")).found.map(({ what }) => what)).toEqual([expect.stringMatching(/^RangeError: Maximum call stack/)]);
  });

  it("says by which input something was found, as small as it still shows it, and finds it again", async () => {
    const { found } = await planted("throws");
    expect(found).toHaveLength(1);
    expect(Buffer.from(found[0]?.input ?? []).toString()).toBe("!");
    expect((await planted("throws")).found[0]?.index).toBe(found[0]?.index);
  });

  it("plays the same inputs on several processors as on one, and tells once what each of them finds", async () => {
    const [one, two] = [await planted("throws"), await inLanes(of("throws"), 2, 1)];
    expect(two).toEqual(one);
    expect((await inLanes({ ...of("hangs"), bounds: HANG }, 2, 1)).found.map(({ index }) => index)).toEqual([6, 10]);
  });

  it("makes each input of the seed and its number alone, whatever was made before", async () => {
    for (const target of TARGETS) {
      const [corpus, again] = [await target.corpus(), await target.corpus()];
      expect([target.name, corpus.findIndex((each, i) => !Buffer.from(each).equals(again[i] ?? new Uint8Array()))]).toEqual([
        target.name,
        -1,
      ]);
      const input = (index: number): string => Buffer.from(inputOf(target, corpus, SEED, index)).toString("base64");
      const first = Array.from({ length: 200 }, (_, index) => input(index));
      expect([target.name, first.findIndex((each, index) => each !== input(index))]).toEqual([target.name, -1]);
    }
  });
});
