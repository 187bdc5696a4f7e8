import { describe, expect, it } from "vitest";
import { networkInterfaces } from "node:os";
import { parseRanges, publicAddresses } from "./addresses.ts";
import { nameMatches } from "./gate.ts";
import { SPECIAL_4, SPECIAL_6 } from "./special-addresses.ts";

/** The first and the last address of a range, IPv6 written out. */
function endsOf(range: string): string[] {
  const [address = "", bits] = range.split("/");
  const isV6 = address.includes(":");
  const [head = "", tail = ""] = address.split("::");
  const words = (text: string): string[] => text.split(":").filter(Boolean);
  const between = Array<string>(Math.max(0, 8 - words(head).length - words(tail).length)).fill("0");
  const [size, radix, separator] = isV6 ? ([16, 16, ":"] as const) : ([8, 10, "."] as const);
  const parts = isV6 ? [...words(head), ...between, ...words(tail)] : address.split(".");
  const last = parts.map((part, i) => {
    const free = Math.min(size, Math.max(0, size * (i + 1) - Number(bits)));
    return (Number.parseInt(part, radix) + 2 ** free - 1).toString(radix);
  });
  return [address, last.join(separator)];
}

describe("addresses a guest may reach", () => {
  const isPublic = publicAddresses();
  it.each(["93.184.216.34", "8.8.8.8", "2606:2800:220:1::1", "2001:200::1", "2003::1", "3ffe:ffff::1"])("%s is public", (address) =>
    expect(isPublic(address)).toBe(true),
  );
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
      "::a00:1",
      "::10.0.0.1",
      "::ffff:0:a00:1",
      "fec0::1",
      "3fff::1",
      "5f00::1",
      "4000::1",
      "2001:0:a00:1::",
      "2606:2800:220:1::1%eth0",
    ],
  ])("%s is not", (address) => expect(isPublic(address)).toBe(false));
  it.each([...SPECIAL_4, ...SPECIAL_6])("nor is the first or the last of $range ($by)", ({ range }) => {
    for (const address of endsOf(range)) expect(isPublic(address)).toBe(false);
  });
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
