import { expect, it } from "vitest";
import { LookUpRoom, LookUps } from "./look-ups.ts";

/** A resolver that answers when it is told to, and how many it was asked. */
function slow() {
  let asked = 0;
  let answer: () => void = () => {};
  const told = new Promise<void>((resolve) => (answer = resolve));
  return {
    resolve: async (): Promise<string[]> => {
      asked += 1;
      await told;
      return ["8.8.8.8"];
    },
    answer: () => answer(),
    asked: () => asked,
  };
}
const many = (lookUps: LookUps, count: number): Promise<(string[] | null)[]> =>
  Promise.all(Array.from({ length: count }, (_, i) => lookUps.find(`n${i}.example`)));

it("asks no more for one guest at a time than its bound, whatever the guest asks, and answers again afterwards", async () => {
  const names = slow();
  const lookUps = new LookUps(new LookUpRoom(), names.resolve);
  const found = many(lookUps, 20_000);
  expect(names.asked()).toBe(8);
  names.answer();
  expect((await found).filter((each) => each !== null)).toHaveLength(8);
  expect(await lookUps.find("after.example")).toEqual(["8.8.8.8"]);
});

it("asks no more for all guests than theirs, and gives the room back where a look-up fails", async () => {
  const names = slow();
  const room = new LookUpRoom(10);
  const [one, other] = [new LookUps(room, names.resolve), new LookUps(room, names.resolve)];
  const found = Promise.all([many(one, 100), many(other, 100)]);
  expect(names.asked()).toBe(10);
  names.answer();
  await found;
  const failing = new LookUps(room, () => Promise.reject(new Error("the name server is away")));
  for (let i = 0; i < 30; i++) expect(await failing.find("a.example")).toBeNull();
  expect(await other.find("a.example")).toEqual(["8.8.8.8"]);
});

it("tells a name that is not from a look-up that failed", async () => {
  const saying = (code: string): LookUps => new LookUps(new LookUpRoom(), () => Promise.reject(Object.assign(new Error(code), { code })));
  expect(await saying("ENOTFOUND").find("a.example")).toEqual([]);
  expect(await saying("ENODATA").find("a.example")).toEqual([]);
  expect(await saying("ETIMEOUT").find("a.example")).toBeNull();
});
