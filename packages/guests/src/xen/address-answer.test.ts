/** What a guest that asks for its address is told: one address for ever, and nothing where it does not ask. */
import { describe, expect, it } from "vitest";
import { answerAddress } from "./address-answer.ts";

const MAC = [0, 0x16, 0x3e, 0x12, 0x34, 0x56];
const OURS = [10, 0, 2, 15];

/** As clients ask (RFC 2131, figure 1). */
function question(options: readonly number[], { own = [0, 0, 0, 0], hardware = 1, operation = 1 } = {}): Buffer {
  const bytes = Buffer.alloc(300);
  bytes.set([operation, hardware, 6, 0, 0xde, 0xad, 0xbe, 0xef, 0, 0, 0x80, 0]);
  bytes.set(own, 12);
  bytes.set(MAC, 28);
  bytes.set([0x63, 0x82, 0x53, 0x63, ...options, 255], 236);
  return bytes;
}

/** By number. */
function optionsOf(answer: Buffer): Map<number, number[]> {
  const options = new Map<number, number[]>();
  for (let at = 240; answer[at] !== 255; at += 2 + answer[at + 1]!)
    options.set(answer[at]!, [...answer.subarray(at + 2, at + 2 + answer[at + 1]!)]);
  return options;
}

describe("a guest that asks for its address", () => {
  it.each([
    ["for an offer", [53, 1, 1], 2],
    ["for what it was offered", [53, 1, 3, 54, 4, 10, 0, 2, 2, 50, 4, ...OURS], 5],
    ["with options that nobody knows", [0, 0, 61, 7, 1, ...MAC, 53, 1, 1, 200, 0], 2],
  ])("%s is told it, its way out and who answers names, for ever", (_, options, kind) => {
    const answer = answerAddress(question(options))!;
    expect([...answer.subarray(0, 12)]).toEqual([2, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef, 0, 0, 0x80, 0]);
    expect([...answer.subarray(16, 20)]).toEqual(OURS);
    expect([...answer.subarray(28, 34)]).toEqual(MAC);
    expect(Object.fromEntries(optionsOf(answer))).toEqual({
      ...{ 53: [kind], 54: [10, 0, 2, 2], 1: [255, 255, 255, 0], 3: [10, 0, 2, 2], 6: [10, 0, 2, 3] },
      51: [255, 255, 255, 255],
    });
  });

  it("again for the one that it has, or for another, is told so", () => {
    expect(optionsOf(answerAddress(question([53, 1, 3], { own: OURS }))!).get(53)).toEqual([5]);
    const refused = answerAddress(question([53, 1, 3, 50, 4, 192, 168, 1, 7]))!;
    expect(optionsOf(refused).get(53)).toEqual([6]);
    expect([...refused.subarray(16, 20)]).toEqual([0, 0, 0, 0]);
  });

  it("and has one of its own is told the rest", () => {
    const answer = answerAddress(question([53, 1, 8], { own: OURS }))!;
    expect([...answer.subarray(12, 20)]).toEqual([...OURS, 0, 0, 0, 0]);
    expect([...optionsOf(answer).keys()]).toEqual([53, 54, 1, 3, 6]);
  });

  it.each<[string, Buffer]>([
    ["it chose another server", question([53, 1, 3, 54, 4, 10, 0, 2, 3, 50, 4, ...OURS])],
    ["it gives its address back", question([53, 1, 7])],
    ["it answers", question([53, 1, 2], { operation: 2 })],
    ["its hardware is another", question([53, 1, 1], { hardware: 6 })],
    ["it asks for nothing", question([])],
    ["an option is cut off", question([53, 1, 1]).subarray(0, 242)],
    ["an option is longer than the question", question([53, 1, 1, 12, 250])],
    ["it is larger than any", Buffer.concat([question([53, 1, 1]), Buffer.alloc(1_400)])],
    ["it is empty", Buffer.alloc(0)],
  ])("is told nothing where %s", (_, bytes) => {
    expect(answerAddress(bytes)).toBeNull();
  });
});
