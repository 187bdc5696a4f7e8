import { describe, expect, it } from "vitest";
import { networkInterfaces } from "node:os";
import { parseRanges, publicAddresses } from "./addresses.ts";
import { nameMatches } from "./gate.ts";

describe("addresses a guest may reach", () => {
  const isPublic = publicAddresses();
  it.each(["93.184.216.34", "8.8.8.8", "2606:2800:220:1::1"])("%s is public", (address) => expect(isPublic(address)).toBe(true));
  it.each([
    ...[
      "127.0.0.1",
      "10.1.2.3",
      "172.31.0.1",
      "192.168.1.1",
      "169.254.169.254",
      "100.64.0.1",
      "0.0.0.0",
      "224.0.0.1",
      "255.255.255.255",
      "198.18.0.1",
    ],
    ...[
      "::1",
      "::",
      "fe80::1",
      "fd00::1",
      "::ffff:10.0.0.1",
      "64:ff9b::a00:1",
      "2002:a00:1::",
      "ff02::1",
      "",
      "localhost",
      "1.2.3",
      "0x7f.1",
    ],
  ])("%s is not", (address) => expect(isPublic(address)).toBe(false));
  it("nor is any of this machine's own", () => {
    for (const { address } of Object.values(networkInterfaces()).flatMap((all) => all ?? [])) expect(isPublic(address)).toBe(false);
  });
  it("takes the owner's exceptions, and nothing beside them", () => {
    const excepted = publicAddresses(parseRanges(["10.1.2.0/30"]));
    expect([excepted("10.1.2.3"), excepted("10.1.2.4")]).toEqual([true, false]);
    expect(() => parseRanges(["10.1.2.3"])).toThrow("is not a range");
  });
  it("matches names whole, or what lies below a star", () => {
    const allowed = ["a.example", "*.b.example"];
    expect(["a.example", "x.b.example", "x.y.b.example"].every((name) => nameMatches(name, allowed))).toBe(true);
    expect(["b.example", "xa.example", "x.a.example", "xb.example", "a.example.evil"].some((name) => nameMatches(name, allowed))).toBe(
      false,
    );
  });
});
