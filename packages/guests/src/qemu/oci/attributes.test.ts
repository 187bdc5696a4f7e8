/** Attributes of files that a guest's kernel reads, and those that it has no use for or would not give. */
import { describe, expect, it } from "vitest";
import { kept } from "./attributes.ts";

const capability = (version: number, bytes: number): string =>
  Buffer.concat([Buffer.from([1, 0, 0, version]), Buffer.alloc(bytes - 4)]).toString("latin1");

describe("attributes of a layer's files", () => {
  it("are kept byte for byte, where they are a user's, trusted or of security", () => {
    const all: [string, string][] = [
      ["user.a", "\0\xff"],
      ["trusted.b", ""],
      ["security.ima", "1"],
    ];
    expect(
      kept(
        [...all, ["system.nfs4_acl", "1"], ["trusted.xeno.posix_acl_access", "1"], ["other.c", "1"], ["user.", "1"], ["nodot", "1"]],
        "file",
      ),
    ).toEqual(all);
  });
  it("leave out what overlays know their own by, and another system's labels", () => {
    expect(
      kept(
        [
          ["trusted.overlay.opaque", "y"],
          ["security.selinux", "u:r:t:s0\0"],
        ],
        "directory",
      ),
    ).toEqual([]);
  });
  it("are users' own on files and folders alone, for no kernel takes those of others", () => {
    for (const kind of ["symlink", "fifo", "character", "block"] as const)
      expect(
        kept(
          [
            ["user.a", "1"],
            ["trusted.a", "1"],
          ],
          kind,
        ),
        kind,
      ).toEqual([["trusted.a", "1"]]);
  });
  it("hold access lists of files and folders, what is handed down of folders alone, and none that is no list", () => {
    const list = `\x02\0\0\0${["\x01", "\x04", "\x20"].map((tag) => `${tag}\0\x06\0\xff\xff\xff\xff`).join("")}`;
    const both: [string, string][] = [
      ["system.posix_acl_access", list],
      ["system.posix_acl_default", list],
    ];
    expect(kept(both, "directory")).toEqual(both);
    expect(kept(both, "file")).toEqual(both.slice(0, 1));
    expect(kept(both, "symlink")).toEqual([]);
    expect(() => kept([["system.posix_acl_access", "1"]], "file")).toThrow("system.posix_acl_access that is no access list");
  });
  it("hold capabilities of the two forms that there are", () => {
    for (const [version, bytes] of [
      [2, 20],
      [3, 24],
    ] as const)
      expect(kept([["security.capability", capability(version, bytes)]], "file")).toHaveLength(1);
    for (const value of ["", "text", capability(1, 12), capability(2, 24), capability(3, 20), capability(4, 24)])
      expect(() => kept([["security.capability", value]], "file"), JSON.stringify(value)).toThrow(
        "security.capability that is no capability",
      );
  });
});
