/** What a domain on its way printed last, and when it is looked for. */
import { expect, it, onTestFinished, vi } from "vitest";
import { DomainCarrying } from "./domain-carrying.ts";

/** Says when its state was had. */
async function* state(had: () => void): AsyncGenerator<Uint8Array> {
  yield Uint8Array.of(1);
  had();
}

function carrying(lastWords: () => Promise<void>, over: { live?: typeof state; found?: () => Promise<null> } = {}): DomainCarrying {
  const { live = state, found = async () => null } = over;
  return new DomainCarrying({
    ...{ plan: { kind: "pvh", disk: null }, isImage: false, folder: "/f", saving: { live, still: state } },
    ...{ talk: { lastWords }, found, settles: () => false, saved: () => {}, notSent: () => {} },
  });
}

it.each(["live", "still"] as const)("is listened to from when its state was had (%s), and no longer than that takes", async (how) => {
  const words = Promise.withResolvers<void>();
  const lastWords = vi.fn(() => words.promise);
  const domain = carrying(lastWords);
  for await (const _ of domain[how]()) expect(lastWords).not.toHaveBeenCalled();
  expect(lastWords).toHaveBeenCalledTimes(1);
  words.resolve();
  await domain.lastWords();
  expect(lastWords).toHaveBeenCalledTimes(1);
});

it("is listened to anew where it was carried in vain before", async () => {
  const lastWords = vi.fn(async () => {});
  const domain = carrying(lastWords, {
    async *live() {
      yield Uint8Array.of(1);
      throw new Error("cut");
    },
  });
  for await (const _ of domain.still());
  const sent = async (): Promise<void> => {
    for await (const _ of domain.live());
  };
  await expect(sent()).rejects.toThrow("cut");
  await domain.lastWords();
  expect(lastWords).toHaveBeenCalledTimes(2);
});

it("stands still where whoever looked at it has seen that", () => {
  const domain = carrying(async () => {});
  const told = vi.fn();
  domain.onStill(told);
  const listed = { id: 1, name: "xeno-1", uuid: "1", memoryMib: 128, paused: false, dying: false };
  for (const shutdown of [null, "poweroff", "suspend"] as const) domain.seen({ ...listed, shutdown } as Parameters<typeof domain.seen>[0]);
  expect(told).toHaveBeenCalledTimes(1);
});

it("is looked at so seldom that looks take no more than a tenth of what its host has, however slow those are", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  onTestFinished(() => void vi.useRealTimers());
  const [looks, over]: [PromiseWithResolvers<null>[], PromiseWithResolvers<void>] = [[], Promise.withResolvers()];
  const found = (): Promise<null> => {
    looks.push(Promise.withResolvers());
    return looks.at(-1)!.promise;
  };
  const domain = carrying(async () => {}, {
    found,
    async *live() {
      yield Uint8Array.of(1);
      await over.promise;
    },
  });
  const sent = domain.live();
  await sent.next();
  const looksAfter = async (ms: number): Promise<number> => {
    await vi.advanceTimersByTimeAsync(ms);
    return looks.length;
  };
  expect(await looksAfter(1_999)).toBe(0);
  expect(await looksAfter(1)).toBe(1);
  looks[0]!.resolve(null); // at once
  expect(await looksAfter(2_000)).toBe(2);
  expect(await looksAfter(3_000)).toBe(2);
  looks[1]!.resolve(null);
  expect(await looksAfter(29_999)).toBe(2);
  expect(await looksAfter(1)).toBe(3);
  over.resolve();
  await sent.next();
  looks[2]!.resolve(null);
  expect(await looksAfter(60_000)).toBe(3);
});
