/** What of a settings file is no settings, in words. */
import { expect, it } from "vitest";
import { parseServerConfig } from "./config.ts";

// parsers of TOML in several languages ended their program by these
it.each([
  ["lists in lists", `a = ${"[".repeat(100_000)}`],
  ["tables in tables", `a = ${"{a=".repeat(100_000)}`],
  ["closed lists in lists", `a = ${"[".repeat(100_000)}${"]".repeat(100_000)}`],
])("says of %s without end that they are none", (_, text) => {
  expect(() => parseServerConfig(text, "xenoserver.toml")).toThrow(/^xenoserver\.toml is not TOML: /);
});

it("says of names without end, and of names that every object has, that they are unknown", () => {
  for (const text of [`a${".b".repeat(20_000)} = 1`, "__proto__ = 1", "[__proto__]\npool = 9", "constructor.prototype.pool = 9"])
    expect(() => parseServerConfig(text, "xenoserver.toml")).toThrow(/^xenoserver\.toml/);
  expect(parseServerConfig("", "xenoserver.toml").pool).toBe(2);
});
