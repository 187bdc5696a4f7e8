/** What a domain on its way printed last, and when it is looked for. */
import { expect, it, vi } from "vitest";
import { DomainCarrying } from "./domain-carrying.ts";

/** Says when its state was had. */
async function* state(had: () => void): AsyncGenerator<Uint8Array> {
  yield Uint8Array.of(1);
  had();
}

function carrying(lastWords: () => Promise<void>, over: { live?: typeof state } = {}): DomainCarrying {
  return new DomainCarrying({
    ...{ plan: { kind: "pvh", disk: null }, isImage: false, folder: "/f", saving: { live: state, still: state, ...over } },
    ...{ talk: { lastWords }, found: async () => null, settles: () => false, saved: () => {}, notSent: () => {} },
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
