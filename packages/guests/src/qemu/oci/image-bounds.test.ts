/** What a large image may keep from others: its turn of the daemon, and the memory of one. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, it, vi } from "vitest";
import type { TarEntry } from "@xenoservers/protocol/archive";
import { inTurn } from "./image-bounds.ts";
import { ImageTree } from "./image-tree.ts";
import { STEP_COUNT, atOnce, spread } from "./in-steps.ts";
import { openIndex, writeIndex, type Weight } from "./layer-index.ts";
import { contentOf } from "./overlay-disk.ts";

const entry = (over: Partial<TarEntry> & Pick<TarEntry, "name" | "kind">): TarEntry => ({
  ...{ mode: 0o644, uid: 0, gid: 0, mtime: 1, target: "", major: 0, minor: 0, size: 0, pieces: [], xattrs: [] },
  ...over,
});
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

it("puts large images together one after the other, and small ones at once", async () => {
  const log: string[] = [];
  const ends = new Map<string, () => void>();
  const work = (name: string) => async (): Promise<void> => {
    log.push(name);
    await new Promise<void>((resolve) => ends.set(name, resolve));
  };
  const called = new AbortController();
  const first = inTurn(1_000_000, undefined, work("first"));
  const never = inTurn(1_000_000, called.signal, work("never"));
  const third = inTurn(1_000_000, undefined, work("third"));
  const small = inTurn(1_000, undefined, work("small"));
  await turn();
  expect(log.sort()).toEqual(["first", "small"]);
  called.abort(new Error("nobody wants it"));
  await expect(never).rejects.toThrow("nobody wants it");
  await turn();
  expect(log).not.toContain("third");
  ends.get("first")?.();
  await first;
  await turn();
  expect(log.at(-1)).toBe("third");
  ends.get("third")?.();
  ends.get("small")?.();
  await Promise.all([third, small]);
  // one that fails holds nobody
  await expect(inTurn(1_000_000, undefined, () => Promise.reject(new Error("damaged")))).rejects.toThrow("damaged");
  await expect(inTurn(1_000_000, undefined, async () => "next")).resolves.toBe("next");
});

it("gives others their turn while it goes through many entries", async () => {
  const entries = Array.from({ length: 20 * STEP_COUNT }, (_, i) => entry({ name: `d/f${i}`, kind: "file" }));
  const tree = new ImageTree();
  tree.group();
  let turns = 0;
  let goes = true;
  const count = (): void => void (goes && (turns++, setImmediate(count)));
  count();
  await spread(tree.applying(() => entries, 0));
  expect(turns).toBeGreaterThan(20);
  turns = 0;
  const { items } = await spread(contentOf(tree, ["digest"]));
  goes = false;
  expect(turns).toBeGreaterThan(20);
  expect(items).toHaveLength(entries.length + 2);
  await expect(spread(contentOf(tree, ["digest"]), AbortSignal.abort(new Error("called off")))).rejects.toThrow("called off");
});

it("keeps what a layer holds in a file, of any length and bytes, also where a cache lets go of it", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-index-"));
  try {
    const file = path.join(folder, "index");
    const entries = [
      ...Array.from({ length: 5_000 }, (_, i) => entry({ name: `\xff\x80${i}\n`, kind: "file", mtime: 1 - i })),
      entry({ name: "sparse", kind: "file", pieces: Array.from({ length: 20_000 }, (_, i) => ({ at: i * 2, from: i, length: 1 })) }),
      entry({ name: "last", kind: "symlink", target: "\xe4", xattrs: [["user.a", "\0\xff"]] }),
    ];
    const weight = { bytes: 1, entries: 2, text: 3 };
    const from = async function* (): AsyncGenerator<TarEntry, Weight> {
      yield* entries;
      return weight;
    };
    await writeIndex(file, from());
    const index = await openIndex(file);
    await rm(file);
    expect(index).toMatchObject(weight);
    expect([...index.read()]).toEqual(entries);
    expect([...index.read()].length).toBe(entries.length);
    await index.close();
  } finally {
    await rm(folder, { recursive: true });
  }
});

it("refuses an image whose paths lead through links that are long and many, for each costs", () => {
  const detour = `${"d/../".repeat(800)}d`;
  const chain = Array.from({ length: 39 }, (_, i) => entry({ name: `l${i}`, kind: "symlink", target: `${detour}/../l${i + 1}` }));
  const entries = [
    entry({ name: "d", kind: "directory" }),
    ...chain,
    entry({ name: "l39", kind: "directory" }),
    ...Array.from({ length: 1_000 }, (_, i) => entry({ name: `l0/f${i}`, kind: "file" })),
  ];
  const tree = new ImageTree();
  tree.group();
  expect(() => atOnce(tree.applying(() => entries, 0))).toThrow("lead through links too often");
});

describe("paths that say little and need much", () => {
  const applied = (entries: readonly TarEntry[]) => () => {
    const tree = new ImageTree();
    tree.group();
    atOnce(tree.applying(() => entries, 0));
  };
  const deep = (i: number, last: string, folders = 2_000): string => `${i}/${"a/".repeat(folders)}${last}`;

  it("are refused where they need more folders than layers should list", () => {
    const entries = Array.from({ length: 1_001 }, (_, i) => entry({ name: deep(i, "f", 99), kind: "file" }));
    expect(applied(entries.slice(1))).not.toThrow();
    expect(applied(entries)).toThrow("folders that no layer lists");
  });

  it("are refused where links lead them to places whose names are long", () => {
    const place = Array.from({ length: 15 }, () => "x".repeat(255)).join("/");
    const files = Array.from({ length: 18_000 }, (_, i) => entry({ name: `l/${i}`, kind: "file" }));
    expect(applied([entry({ name: "l", kind: "symlink", target: place }), entry({ name: `${place}/f`, kind: "file" }), ...files])).toThrow(
      "the paths of the image have more",
    );
    expect(applied([entry({ name: "l", kind: "symlink", target: "." }), ...files])).not.toThrow();
  });

  it("of whiteouts are walked, and not written down folder by folder", () => {
    const written = vi.spyOn(Array.prototype, "join");
    try {
      applied(Array.from({ length: 20 }, (_, i) => entry({ name: deep(i, ".wh.f"), kind: "file" })))();
      expect(written.mock.calls.length).toBeLessThan(1_000);
    } finally {
      written.mockRestore();
    }
  });

  it("of hard links are refused where each has many attributes gone through, and cost nothing where they state none", () => {
    const many = Array.from({ length: 4_000 }, (_, i): [string, string] => [`user.${i}`, ""]);
    const file = entry({ name: "f", kind: "file", xattrs: many });
    const links = (length: number, xattrs: TarEntry["xattrs"]): TarEntry[] =>
      Array.from({ length }, (_, i) => entry({ name: `l${i}`, kind: "link", target: "f", xattrs }));
    expect(applied([file, ...links(501, [["user.0", "x"]])])).toThrow("state attributes");
    const tested = vi.spyOn(RegExp.prototype, "test");
    try {
      applied([file, ...links(500, [])])();
      expect(tested.mock.calls.length).toBeLessThan(2 * many.length);
    } finally {
      tested.mockRestore();
    }
  });
});
