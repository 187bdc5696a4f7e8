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

it("keeps the end up to a bound, and says how much came before", () => {
  const screen = new ScreenText();
  for (let i = 0; i < 1_000; i++) screen.add(bytes("x".repeat(999) + "\n"));
  expect(screen.text.length).toBeLessThanOrEqual(400_000);
  expect(screen.text.length).toBeGreaterThanOrEqual(200_000);
  expect(screen.dropped + screen.text.length).toBe(1_000_000);
  screen.clear();
  expect([screen.text, screen.dropped]).toEqual(["", 0]);
});
