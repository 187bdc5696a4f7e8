import type { GuestEntry } from "@xenoservers/sdk/machines";
import { expect, it } from "vitest";
import { folderAt, isFolder } from "./guest-folder.ts";

const { signal } = new AbortController();
const entry = (path: string, kind: GuestEntry["kind"]): GuestEntry => ({
  ...{ path, kind, mode: 0, uid: 0, gid: 0, size: 0, mtime: 0, target: "", isText: true, which: "" },
});

it("has folders before all else, each by name", async () => {
  const entries = [entry("b", "file"), entry("z", "folder"), entry("a", "link"), entry("c", "folder")];
  const folder = await folderAt({ entries: async () => entries }, "/x", signal);
  expect([folder.path, folder.entries.map(({ path }) => path)]).toEqual(["/x", ["c", "z", "a", "b"]]);
});

it("is looked into behind a link, too: a link to a file, or to nothing, is none", async () => {
  const there: Record<string, GuestEntry> = {
    ...{
      "/d": entry("", "folder"),
      "/f": entry("", "file"),
      "/l": entry("", "link"),
      "/l/.": entry("", "folder"),
      "/m": entry("", "link"),
    },
  };
  const files = { look: async (at: string) => there[at] ?? null };
  expect(await Promise.all(["/d", "/f", "/l", "/m", "/none"].map((at) => isFolder(files, at, signal)))).toEqual([
    ...[true, false, true, false, null],
  ]);
});
