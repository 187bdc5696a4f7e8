import { expect, it } from "vitest";
import { SequencerPlace } from "./place.ts";

/** The duty's row, and a clock set by hand that both brokers and the database go by. */
function row() {
  const state = { now: 0, broker: "", term: 0, until: 0, asked: 0 };
  const store = {
    async takeDuty(_name: string, id: string, forMs: number) {
      state.asked++;
      if (state.broker !== id && state.until > state.now) return null;
      if (state.broker !== id) state.term++;
      Object.assign(state, { broker: id, until: state.now + forMs });
      return state.term;
    },
  };
  return { state, of: (id: string) => new SequencerPlace(store, id, () => state.now) };
}

it("is one broker's at a time, renewed by it, and another's with a later term once it is over", async () => {
  const { state, of } = row();
  const [one, other] = [of("one"), of("other")];
  expect(await one.take()).toEqual({ broker: "one", term: 1 });
  expect(await other.take()).toBeNull();
  for (state.now = 1_000; state.now <= 10_000; state.now += 1_000) {
    expect(await one.take()).toEqual({ broker: "one", term: 1 });
    expect(await other.take()).toBeNull();
  }
  state.now += 3_000;
  expect(await other.take()).toEqual({ broker: "other", term: 2 });
  expect(await one.take()).toBeNull();
});

it("is not had by whoever was given it and slept until it was over", async () => {
  const state = { now: 0 };
  const slow = {
    async takeDuty() {
      state.now += 3_000;
      return 1;
    },
  };
  expect(await new SequencerPlace(slow, "one", () => state.now).take()).toBeNull();
});
