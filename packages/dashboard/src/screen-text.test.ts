import { expect, it } from "vitest";
import { ScreenText } from "./screen-text.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

it("joins letters that are cut in two", () => {
  const screen = new ScreenText();
  const [euro] = [bytes("€")];
  screen.add(euro!.subarray(0, 1));
  screen.add(euro!.subarray(1));
  expect(screen.text).toBe("€");
});

it("keeps the end up to a bound of characters and lines, and says how much has come", () => {
  const screen = new ScreenText();
  screen.add(bytes("x".repeat(40_000)));
  expect([screen.text.length, screen.isCut]).toEqual([40_000, false]);
  screen.add(bytes("x".repeat(400_000)));
  expect([screen.text.length, screen.isCut, screen.bytes]).toEqual([48_000, true, 440_000]);
  screen.clear();
  expect([screen.text, screen.isCut, screen.bytes]).toEqual(["", false, 0]);
  screen.add(bytes("a\n".repeat(900)));
  expect(screen.isCut).toBe(false);
  screen.add(bytes(`${"a\n".repeat(5_000)}end`));
  expect([screen.text, screen.isCut]).toEqual([`${"a\n".repeat(999)}end`, true]);
});

it("is within its bound where each character takes six to spell out, and cuts no letter", () => {
  const screen = new ScreenText();
  screen.add(bytes("\u202E\0".repeat(1_000_000)));
  expect(screen.text.length).toBe(48_000);
  screen.clear();
  screen.add(bytes(`x${"🎉".repeat(30_000)}`));
  expect([screen.text.isWellFormed(), screen.text.length]).toEqual([true, 48_000]);
  screen.add(bytes("x"));
  expect([screen.text.isWellFormed(), screen.text.length]).toEqual([true, 47_999]);
});

it("takes the two bytes that end a line for one end, also where they come apart", () => {
  const screen = new ScreenText();
  for (const piece of ["a\r", "\nb\r", "c\r\r", "\n"]) screen.add(bytes(piece));
  expect(screen.text).toBe("a\nb\\rc\\r\n");
});
