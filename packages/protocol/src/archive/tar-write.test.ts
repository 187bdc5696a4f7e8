/** Headers as `sqfstar` takes them. */
import { expect, it } from "vitest";
import { tarHeader, type TarHeader } from "./tar-write.ts";

const none = { mode: 0o777, uid: 0, gid: 0, mtime: 0, major: 0, minor: 0, size: 0, xattrs: [] };
const typesOf = (bytes: Buffer): string[] =>
  Array.from({ length: bytes.length / 512 }, (_, i) => bytes.subarray(i * 512, (i + 1) * 512))
    .filter((block) => block.toString("latin1", 257, 262) === "ustar")
    .map((block) => block.toString("latin1", 156, 157));

// long links of pnpm lost the dots that they began with
it("states a long target of a link in GNU's way, of which nothing is dropped, and one of a hard link in pax's", () => {
  const target = `../${"a".repeat(98)}`;
  const headers = (over: Partial<TarHeader>): Buffer => tarHeader({ ...none, name: "l", type: "2", target, ...over });
  expect(typesOf(headers({}))).toEqual(["K", "2"]);
  expect(headers({}).toString("latin1", 512, 512 + target.length + 1)).toBe(`${target}\0`);
  expect(typesOf(headers({ target: target.slice(0, 100) }))).toEqual(["2"]);
  expect(typesOf(headers({ xattrs: [["trusted.a", "1"]] }))).toEqual(["K", "x", "2"]);
  expect(typesOf(headers({ type: "1" }))).toEqual(["x", "1"]);
});

it("states what is too large for a header's field in pax's way", () => {
  const header = tarHeader({ ...none, name: "f", type: "0", target: "", size: 9 * 2 ** 30, uid: 3_000_000 });
  expect(typesOf(header)).toEqual(["x", "0"]);
  expect(header.toString("latin1", 512, 1_024)).toMatch(/^15 uid=3000000\n19 size=9663676416\n\0/);
});
