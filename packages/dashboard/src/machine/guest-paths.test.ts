import { expect, it } from "vitest";
import { guestPath, within } from "./guest-paths.ts";

it("are resolved as they are typed", () => {
  expect(["/", "//", "/..", "/a//b/./c/", "/a/../../b", "/a b/…"].map(guestPath)).toEqual(["/", "/", "/", "/a/b/c", "/b", "/a b/…"]);
  for (const text of ["", "etc", "./etc", "~"]) expect(() => guestPath(text)).toThrow("begins with /");
  expect([within("/", "a"), within("/a", "b")]).toEqual(["/a", "/a/b"]);
});
