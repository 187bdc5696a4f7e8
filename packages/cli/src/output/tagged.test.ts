import { expect, it } from "vitest";
import { tagged } from "./tagged.ts";

it("has the name before each line, the bytes as they came, and nothing of the name that a terminal obeys", () => {
  expect(tagged("a.csv", Buffer.from("1\n\n\u001b[1m2")).toString()).toBe("a.csv\t1\na.csv\t\na.csv\t\u001b[1m2");
  expect(tagged("a", Uint8Array.of(0xff, 10))).toEqual(Buffer.from([0x61, 0x09, 0xff, 10]));
  const shown = tagged("\u001b]0;x\u0007\n", Buffer.from("1\n")).toString();
  expect([..."\u001b\u0007"].filter((each) => shown.includes(each))).toEqual([]);
  expect(shown.split("\n")).toHaveLength(2);
});
