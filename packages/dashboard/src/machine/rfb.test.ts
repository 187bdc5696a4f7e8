/** A screen that is watched: what it draws, and what of a hostile one it refuses. */
import { expect, it } from "vitest";
import { keysymOf } from "./keysyms.ts";
import { WatchedScreen, keyMessage, pointerMessage } from "./rfb.ts";

const utf8 = (text: string): number[] => [...new TextEncoder().encode(text)];
const u16 = (value: number): number[] => [value >> 8, value & 255];
const u32 = (value: number): number[] => [...u16(value >>> 16), ...u16(value & 65_535)];
const HELLO = [...utf8("RFB 003.008\n"), 1, 1, ...u32(0)];
const init = (width: number, height: number): number[] => [
  ...u16(width),
  ...u16(height),
  ...Array<number>(16).fill(0),
  ...u32(4),
  ...utf8("name"),
];
const rectangle = (x: number, y: number, width: number, height: number, encoding = 0): number[] =>
  [x, y, width, height].flatMap(u16).concat(u32(encoding >>> 0));
const update = (...rectangles: number[][]): number[] => [0, 0, ...u16(rectangles.length), ...rectangles.flat()];

/** What it says and draws while these bytes come, a few at a time, and how it ends. */
async function watched(bytes: readonly number[], piece = 7) {
  const said: number[][] = [];
  const drawn: unknown[] = [];
  const readable = new ReadableStream<Uint8Array>({
    start(controller) {
      for (let at = 0; at < bytes.length; at += piece) controller.enqueue(Uint8Array.from(bytes.slice(at, at + piece)));
      controller.close();
    },
  });
  const canvas = {
    sized: (width: number, height: number) => void drawn.push([width, height]),
    painted: (x: number, y: number, width: number, rgba: Uint8ClampedArray) => void drawn.push([x, y, width, [...rgba]]),
  };
  const screen = new WatchedScreen(readable, async (message) => void said.push([...message]), canvas);
  const why = await screen.watch().catch((error: Error) => error.message);
  return { said, drawn, why };
}

it("draws what has changed, and asks for more when it is drawn", async () => {
  const pixels = [1, 2, 3, 0, 4, 5, 6, 0];
  const bytes = [...HELLO, ...init(3, 2), ...update([...rectangle(1, 1, 2, 1), ...pixels]), 2, ...update(rectangle(0, 0, 5, 4, -223))];
  const { said, drawn, why } = await watched(bytes);
  expect(drawn).toEqual([
    [3, 2],
    [1, 1, 2, [1, 2, 3, 255, 4, 5, 6, 255]],
    [5, 4],
  ]);
  expect(said.slice(0, 3)).toEqual([utf8("RFB 003.008\n"), [1], [1]]);
  expect(said.slice(4)).toEqual([
    [3, 1, 0, 0, 0, 0, 0, 3, 0, 2],
    [3, 0, 0, 0, 0, 0, 0, 5, 0, 4],
  ]);
  expect(why).toBe("the connection has ended");
});

it("passes over what it has no use for", async () => {
  const colours = [1, 0, 0, 0, ...u16(2), ...Array<number>(12).fill(9)];
  const cut = [3, 0, 0, 0, ...u32(3), ...utf8("cut")];
  const { drawn, why } = await watched([...HELLO, ...init(1, 1), ...colours, ...cut, ...update([...rectangle(0, 0, 1, 1), 7, 8, 9, 0])], 1);
  expect(drawn).toEqual([
    [1, 1],
    [0, 0, 1, [7, 8, 9, 255]],
  ]);
  expect(why).toBe("the connection has ended");
});

it.each([
  [utf8("HTTP/1.1 400"), /speaks no RFB/],
  [utf8("RFB 003.003\n"), /speaks no RFB 3.8/],
  [[...utf8("RFB 003.008\n"), 0, ...u32(2 ** 31), ...Array<number>(1_024).fill(120)], /refuses: x+$/],
  [[...utf8("RFB 003.008\n"), 1, 2], /asks for a password/],
  [[...utf8("RFB 003.008\n"), 1, 1, ...u32(1), ...u32(4), ...utf8("full")], /refuses: full/],
  [[...HELLO, ...init(65_535, 65_535)], /too many to show/],
  [[...HELLO, ...u16(1), ...u16(1), ...Array<number>(16).fill(0), ...u32(2 ** 31)], /says more than it may/],
  [[...HELLO, ...init(2, 2), ...update(rectangle(1, 0, 2, 1))], /lies outside/],
  [[...HELLO, ...init(2, 2), ...update(rectangle(0, 0, 1, 1, 16))], /nobody asked for/],
  [[...HELLO, ...init(2, 2), ...update(rectangle(0, 0, 65_535, 65_535, -223))], /too many to show/],
  [[...HELLO, ...init(2, 2), 9], /no screen says/],
  [[...HELLO, ...init(2, 2), 3, 0, 0, 0, ...u32(2 ** 30)], /says more than it may/],
])("%# ends in words", async (bytes, words) => {
  expect((await watched(bytes, 1_000)).why).toMatch(words);
});

it("says keys and pointer as screens know them", () => {
  expect(keyMessage(keysymOf("é")!, true)).toEqual([4, 1, 0, 0, 0, 0, 0, 0xe9]);
  expect(keyMessage(keysymOf("€")!, false)).toEqual([4, 0, 0, 0, 1, 0, 0x20, 0xac]);
  expect(pointerMessage(1, 258, 3)).toEqual([5, 1, 1, 2, 0, 3]);
  expect(["Enter", "F1", "F12", "a", " ", "😀"].map(keysymOf)).toEqual([0xff0d, 0xffbe, 0xffc9, 0x61, 0x20, 0x0101_f600]);
  expect(["F13", "Dead", "Unidentified", "", "constructor"].map(keysymOf)).toEqual([null, null, null, null, null]);
});
