import type { GuestEntry, GuestFiles } from "@xenoservers/sdk";
import { describe, expect, it } from "vitest";
import { firstEntries } from "./first-entries.ts";

const entry = (path: string): GuestEntry => ({
  ...{ path, kind: "file", mode: 0o644, uid: 0, gid: 0, size: 1, mtime: 0, target: "", isText: true, which: "" },
});

/** A guest that lists so many, and then does `after`. */
const listing = (count: number, after: () => Promise<void>): Pick<GuestFiles, "list"> => ({
  async list(_path, each) {
    for (let i = 0; i < count; i++) each(entry(String(i)));
    return after();
  },
});

describe("what lies below a folder", () => {
  it("is shown as far as it goes", async () => {
    expect(
      (
        await firstEntries(
          listing(3, async () => {}),
          "/",
          3,
        )
      ).map(({ path }) => path),
    ).toEqual(["0", "1", "2"]);
  });

  it("is not waited for beyond what is shown, in a guest that lists without end", async () => {
    expect(
      await firstEntries(
        listing(9, () => new Promise(() => {})),
        "/",
        3,
      ),
    ).toHaveLength(4);
  });

  it("is an error where the guest refuses", async () => {
    await expect(
      firstEntries(
        listing(1, () => Promise.reject(new Error("it is none"))),
        "/",
        3,
      ),
    ).rejects.toThrow("it is none");
  });
});
