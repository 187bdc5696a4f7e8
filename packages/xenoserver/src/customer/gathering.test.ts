/** What a guest says, as messages. */
import type { ChannelHeader } from "@xenoservers/protocol/channel";
import { beforeEach, expect, it } from "vitest";
import { Gathering } from "./gathering.ts";

const FULL_BYTES = 32 * 1024;
const data = { t: "data", id: 3 } as const;

let said: [ChannelHeader["t"], string][];
/** Of those that were made in turn. */
let takes: (() => void)[];
let wakes: (() => void)[];
let gathering: Gathering;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const say = (text: string): Promise<void> => gathering.send(data, Buffer.from(text));
async function woken(): Promise<void> {
  wakes.shift()?.();
  await turn();
}

beforeEach(() => {
  [said, takes, wakes] = [[], [], []];
  gathering = new Gathering(3, {
    send(header, bytes) {
      said.push([header.t, Buffer.from(bytes ?? []).toString()]);
      return new Promise((resolve) => takes.push(resolve));
    },
    sleep: () => new Promise((resolve) => wakes.push(resolve)),
  });
});

it("goes at once after a silence, together soon after, and at once again", async () => {
  void say("first");
  expect(said).toEqual([["data", "first"]]);
  for (const word of ["of ", "many ", "packets"]) void say(word);
  expect(said).toHaveLength(1);
  await woken();
  expect(said.slice(1)).toEqual([["data", "of many packets"]]);
  await woken();
  expect(wakes).toEqual([]);
  void say("alone");
  expect(said.slice(2)).toEqual([["data", "alone"]]);
});

it("waits for no more where there is much, and holds who says it up where that is not taken", async () => {
  void say("first");
  const [one, much] = ["x".repeat(FULL_BYTES / 2), "y".repeat(FULL_BYTES)];
  let isRead = false;
  takes.shift()?.();
  await turn();
  await say(one); // read on at once
  void say(much).then(() => (isRead = true));
  expect(said.slice(1)).toEqual([["data", one + much]]);
  await turn();
  expect(isRead).toBe(false);
  takes.shift()?.();
  await turn();
  expect(isRead).toBe(true);
});

it.each([
  [data, ["data", ""]],
  [{ t: "shut", id: 3, why: "" } as const, ["shut", ""]],
])("comes before its end: %o", (end, last) => {
  void say("first");
  void say("second");
  void gathering.send(end);
  expect(said.slice(1)).toEqual([["data", "second"], last]);
});

it("says at once what was taken", () => {
  void say("first");
  void say("second");
  void gathering.send({ t: "taken", id: 3, bytes: 7 });
  expect(said.slice(1)).toEqual([["taken", ""]]);
});
