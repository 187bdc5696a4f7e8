import fc from "fast-check";
import { expect, it } from "vitest";
import { CONTROL, visible, visibleJson } from "./visible.ts";

/** What public reports of terminals driven by others' texts used: clipboard, title, hidden link, screen, reset, 8-bit forms, bidi, lines. */
const HOSTILE = [
  "\u001B]52;c;cm0gLXJmIH4=\u0007",
  "\u001B]0;title\u0007",
  "\u001B]8;;http://evil.example\u001B\\click\u001B]8;;\u001B\\",
  "\u001B[2J\u001B[10A\u001B[6n",
  "\u001Bc",
  "\u009B2J\u009D52;c;QQ==\u009C\u0090q\u0098\u009E\u009F",
  "right \u202Egnp.exe\u2066\u2069\u200F",
  "ok\r\nproved   signatures  all of them",
  "\b\b\b\u007F\u0000\u2028x\u0085y",
];

it.each(HOSTILE)("%j is spelt out, and says what was there", (text) => {
  expect(visible(text)).toMatch(/^[ -~]+$/);
});

it("leaves every other text as it is", () => {
  for (const text of ["plain", "größe 日本語 👩‍🔬 é", "C:\\new\\u0041"]) expect(visible(text)).toBe(text);
});

it("JSON stays the same value", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const json = visibleJson(JSON.stringify({ [text]: text }));
      expect(json).not.toMatch(CONTROL);
      expect(JSON.parse(json)).toEqual(JSON.parse(JSON.stringify({ [text]: text })));
    }),
  );
});
