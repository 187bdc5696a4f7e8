import { describe, expect, it } from "vitest";
import { ago, bytesText, duration, gigaFuel, mebibytes, money, printed, said, when } from "./words.ts";

describe("what strangers wrote", () => {
  it("is spelt out where it would move, hide or turn something", () => {
    expect(said("a\u202Eb\u001b[31m\nc")).toBe("a\\u202eb\\u001b[31m\\nc");
    expect(said("x".repeat(400))).toBe(`${"x".repeat(300)}…`);
  });

  it("keeps its lines and tabs where a job printed it", () => {
    expect(printed("a\r\nb\tc\u0007\n\u202E")).toBe("a\nb\tc\\u0007\n\\u202e");
    expect(printed("10%\r20%\n")).toBe("10%\\r20%\n");
  });
});

describe("numbers", () => {
  it("are put as the command puts them", () => {
    expect(money("1500000000", "credits")).toBe("1.5000 credits");
    expect([duration(12.4), duration(1_500), duration(61_000), duration(3_700_000)]).toEqual(["12 ms", "1.5 s", "1 min 1 s", "1 h 1 min"]);
    expect([mebibytes(512), mebibytes(1_536)]).toEqual(["512 MiB", "1.5 GiB"]);
    expect([bytesText(1), bytesText(2_048), bytesText(3 * 1024 ** 2), bytesText(2.5 * 1024 ** 3)]).toEqual([
      "1 byte",
      "2.0 KiB",
      "3.0 MiB",
      "2.5 GiB",
    ]);
    expect([gigaFuel(5n), gigaFuel(310_000_000n), gigaFuel(10n ** 13n)]).toEqual(["5 fuel", "0.31 Gfuel", "10000 Gfuel"]);
    expect(when(0)).toBe("1970-01-01 00:00:00 UTC");
    expect([ago(0, 30_000), ago(0, 120_000), ago(0, 7_200_000), ago(0, 172_800_000)]).toEqual(["now", "2 min ago", "2 h ago", "2 d ago"]);
  });
});
