/** What layers make together: the specification's examples, and cases in which other programs that unpack images were found wrong. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Refusal } from "../refusal.ts";
import { ImageTree, type Place } from "./image-tree.ts";
import { atOnce } from "./in-steps.ts";
import { contentOf as contentSteps, type DiskContent } from "./overlay-disk.ts";
import type { TarEntry } from "@xenoservers/protocol/archive";

const entry = (over: Partial<TarEntry> & Pick<TarEntry, "name" | "kind">): TarEntry => ({
  ...{ mode: 0o644, uid: 0, gid: 0, mtime: 1, target: "", major: 0, minor: 0, size: 0, pieces: [], xattrs: [] },
  ...over,
});

/** `a/` a folder, `a/=700` one with that mode, `a=text` a file, `a -> b` a link, `a => b` a hard link. */
function layerOf(...words: string[]): TarEntry[] {
  return words.map((word) => {
    const link = /^(\S+) ([-=])> (.*)$/.exec(word);
    if (link) return entry({ name: link[1] ?? "", kind: link[2] === "-" ? "symlink" : "link", target: link[3] ?? "" });
    const [name = "", value = ""] = word.split("=");
    if (name.endsWith("/")) return entry({ name, kind: "directory", mode: value === "" ? 0o755 : Number.parseInt(value, 8) });
    return entry({ name, kind: "file", size: value.length, pieces: [], xattrs: [["user.is", value]] });
  });
}

/** Everything in the tree, as it was written. */
function listing(tree: ImageTree): string[] {
  const lines: string[] = [];
  const walk = (place: Place, path: string): void => {
    for (const [name, child] of [...(place.children ?? [])].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const { inode } = child;
      const at = `${path}${name}`;
      if (child.children) {
        lines.push(`${at}/${inode.mode === 0o755 ? "" : `=${inode.mode.toString(8)}`}`);
        walk(child, `${at}/`);
      } else lines.push(inode.kind === "symlink" ? `${at} -> ${inode.target}` : `${at}=${inode.xattrs[0]?.[1] ?? ""}`);
    }
  };
  walk(tree.root, "");
  return lines;
}

const contentOf = (tree: ImageTree, digests: readonly string[]): DiskContent => atOnce(contentSteps(tree, digests));
const belowRoot = ({ items }: DiskContent): DiskContent["items"] => items.filter(({ path }) => path !== "");

function treeOf(...layers: TarEntry[][]): ImageTree {
  const tree = new ImageTree();
  for (const [i, layer] of layers.entries()) {
    tree.group();
    atOnce(tree.applying(() => layer, i));
  }
  return tree;
}
const made = (...layers: string[][]): string[] => listing(treeOf(...layers.map((words) => layerOf(...words))));
const refused = (...layers: string[][]): string => {
  try {
    made(...layers);
  } catch (error) {
    if (error instanceof Refusal) return `${error.fault}: ${error.message}`;
    throw error;
  }
  return "taken";
};

describe("layers make a tree", () => {
  it("by name, whatever stands before it", () => {
    expect(made(["./a/", "./a/b=1", "/c=2", "d/../e=3", "./"])).toEqual(["a/", "a/b=1", "c=2", "e=3"]);
  });
  it("where the last of the same name counts", () => {
    expect(made(["a=1", "a=2", "d/=700", "d/x=1", "d/=711"])).toEqual(["a=2", "d/=711", "d/x=1"]);
    expect(made(["a/", "a/b=1"], ["a=2"], ["a/", "a/c=3"])).toEqual(["a/", "a/c=3"]);
  });
  it("with a folder in place of what layers below have, where a path needs it (umoci 546, moby's overlay2)", () => {
    expect(made(["a=1", "b=0"], ["a/b/c=2", "a/d=3"])).toEqual(["a/", "a/b/", "a/b/c=2", "a/d=3", "b=0"]);
    expect(made(["a=1", "n=1"], ["a/b=2"], ["a/c=3", "n => a/b"])).toEqual(["a/", "a/b=2", "a/c=3", "n=2"]);
    expect(refused(["a=1"], ["a=2", "a/b=3"])).toContain("below something that is no folder");
    expect(refused(["a=1", "f=1"], ["a => f", "a/b=3"])).toContain("below something that is no folder");
    expect(refused(["f=1", "l -> f"], ["l/b=3"])).toContain("below something that is no folder");
  });
  it("with folders that nobody listed (image-spec #1221, containers/storage #1288, containerd #3017)", () => {
    expect(made(["t/=1777", "t/a=1"], ["t/b=2", "n/m/c=3"])).toEqual(["n/", "n/m/", "n/m/c=3", "t/=1777", "t/a=1", "t/b=2"]);
  });
  it("through links, never out of the image", () => {
    expect(made(["usr/lib/", "lib -> usr/lib"], ["lib/x=1"])).toEqual(["lib -> usr/lib", "usr/", "usr/lib/", "usr/lib/x=1"]);
    expect(made(["a/", "a/up -> ../../../../b"], ["a/up/x=1"])).toEqual(["a/", "a/up -> ../../../../b", "b/", "b/x=1"]);
    expect(made(["abs -> /etc"], ["abs/x=1"])).toEqual(["abs -> /etc", "etc/", "etc/x=1"]);
    // a folder of that name takes the link's place, as in every engine
    expect(made(["usr/lib/", "usr/lib/a=1", "lib -> usr/lib"], ["lib/", "lib/x=1"])).toEqual([
      "lib/",
      "lib/x=1",
      "usr/",
      "usr/lib/",
      "usr/lib/a=1",
    ]);
  });
});

describe("whiteouts", () => {
  it("hide what is below, and only that", () => {
    expect(made(["a/", "a/b=1", "a/c=1"], ["a/.wh.b"])).toEqual(["a/", "a/c=1"]);
    expect(made(["a/", "a/b=1"], [".wh.a"])).toEqual([]);
    expect(made(["a=1"], [".wh.b", "x/.wh.y", "a/.wh.z"])).toEqual(["a=1"]);
  });
  it("do not hide what their own layer brings, in either order", () => {
    const after = ["a/", "a/new=2"];
    expect(made(["a/", "a/old=1"], [".wh.a", "a/", "a/new=2"])).toEqual(after);
    expect(made(["a/", "a/old=1"], ["a/", "a/new=2", ".wh.a"])).toEqual(after);
    expect(made(["a/", "a/old=1"], ["a/", "a/new=2", "a/.wh..wh..opq"])).toEqual(after);
    expect(made(["a/", "a/old=1"], ["a/", "a/.wh..wh..opq", "a/new=2"])).toEqual(after);
  });
  it("of a whole folder take folders in it along (go-containerregistry #1897)", () => {
    expect(made(["a/", "a/b/", "a/b/foo=1"], ["a/", "a/.wh..wh..opq"])).toEqual(["a/"]);
  });
  it("of a link remove the link, not what it leads to (singularity #1605)", () => {
    expect(made(["etc/", "zone=1", "etc/localtime -> /zone"], ["etc/.wh.localtime"])).toEqual(["etc/", "zone=1"]);
  });
  it("go with a folder that becomes a link in the same layer (kaniko #2308)", () => {
    expect(made(["a/", "a/a=1", "b/"], ["a/.wh.a", "a -> b", "b/"])).toEqual(["a -> b", "b/"]);
  });
  it("of a folder do not clear what a lower link of that name leads to (stereoscope #694)", () => {
    const before = ["target/", "target/keep=1", "link -> /target"];
    expect(made(before, ["link/", "link/.wh..wh..opq", "link/new=2"])).toEqual(["link/", "link/new=2", "target/", "target/keep=1"]);
  });
  it("through a link that stays hide what the path leads to", () => {
    expect(made(["usr/lib/", "usr/lib/x=1", "lib -> usr/lib"], ["lib/.wh.x"])).toEqual(["lib -> usr/lib", "usr/", "usr/lib/"]);
  });
  it("are not AUFS's notes", () => {
    expect(made(["a=1"], [".wh..wh.aufs=x", ".wh..wh.plnk/", ".wh..wh.plnk/7.8=x"])).toEqual(["a=1"]);
  });
  it.each([".wh.", "a/.wh..", "a/.wh..."])("that hide no name are refused: %s", (name) => {
    expect(refused(["a/", "a/b=1"], [`${name}=`])).toBe(`bytes: a layer holds ${name}, which hides no file that has a name`);
  });
  it("hide names as long as any, and no longer ones", () => {
    const long = "n".repeat(255);
    expect(made([`${long}=1`, "k=2"], [`.wh.${long}=`])).toEqual(["k=2"]);
    expect(refused(["k=2"], [`.wh.${long}n=`])).toContain("longer than file systems have");
    expect(refused([`${long}n/.wh.a=`])).toContain("longer than file systems have");
  });
  it("that are opaque hide nothing of what a link leads to", () => {
    expect(made(["a/", "a/b=1", "l -> a"], ["l/.wh..wh..opq", "l/n=2"])).toEqual(["a/", "a/b=1", "a/n=2", "l -> a"]);
    expect(made(["a/", "a/b/", "a/b/c=1", "l -> a"], ["l/b/.wh..wh..opq"])).toEqual(["a/", "a/b/", "l -> a"]);
  });
  it("and what lies below a folder of such a name are two things", () => {
    expect(made(["foo=1"], [".wh.foo/", ".wh.foo/bar=2"])).toEqual([".wh.foo/", ".wh.foo/bar=2"]);
  });
});

describe("hard links", () => {
  it("lead into lower layers, and are the same file (image-spec #1204)", () => {
    const tree = treeOf(layerOf("a=1"), layerOf("b => a"), layerOf("d/c => b"));
    expect(listing(tree)).toEqual(["a=1", "b=1", "d/", "d/c=1"]);
    expect(tree.find("d/c")?.inode).toBe(tree.find("a")?.inode);
  });
  it("stay when the first name goes (go-containerregistry #977)", () => {
    expect(made(["a=1", "b => a"], [".wh.a"])).toEqual(["b=1"]);
    expect(made(["a=1", "b => a"], ["a=2"])).toEqual(["a=2", "b=1"]);
  });
  it("to what their own layer hides are made before, as by engines that go in order", () => {
    expect(made(["a=1"], ["b => a", ".wh.a"])).toEqual(["b=1"]);
    expect(made(["d/", "d/a=1"], ["b => d/a", "c => d/a", ".wh.d"])).toEqual(["b=1", "c=1"]);
  });
  it("of AUFS lead to the files that it keeps for them, in the same layer", () => {
    const tree = treeOf(layerOf(".wh..wh.plnk/7.8=1", "a => .wh..wh.plnk/7.8", "d/b => /.wh..wh.plnk/7.8"), layerOf("c => a"));
    expect(listing(tree)).toEqual(["a=1", "c=1", "d/", "d/b=1"]);
    expect(tree.find("d/b")?.inode).toBe(tree.find("a")?.inode);
    expect(refused([".wh..wh.plnk/7.8=1"], ["a => .wh..wh.plnk/7.8"])).toContain("which is not in the image");
  });
  it("come where their folder was not listed (apple/container #1797)", () => {
    expect(made(["bin/app=1", "bin/app.runfiles/_main/app_/app => bin/app"])).toContain("bin/app.runfiles/_main/app_/app=1");
  });
  it("lead through links, and to links", () => {
    expect(made(["usr/bin/a=1", "bin -> usr/bin", "s -> usr"], ["x => /bin/a", "y => ./s"])).toContain("x=1");
    expect(made(["s -> usr"], ["y => s"])).toEqual(["s -> usr", "y -> usr"]);
  });
  it("to itself change nothing: GNU tar writes one where a file is named twice", () => {
    expect(made(["a=1", "a => a"])).toEqual(["a=1"]);
  });
  it("say again what the file is, and are believed (podman, docker, containerd)", () => {
    const again = entry({ name: "b", kind: "link", target: "a", mode: 0o600, uid: 9, mtime: 9, xattrs: [["user.is", "2"]] });
    expect(treeOf(layerOf("a=1"), [again]).find("a")?.inode).toMatchObject({ mode: 0o600, uid: 9, mtime: 9, xattrs: [["user.is", "2"]] });
    const toLink = treeOf(layerOf("a -> x"), [again]).find("a");
    expect(toLink?.inode).toMatchObject({ kind: "symlink", uid: 9, mode: 0o644 });
  });
  it("to nothing, to a folder and to what comes later are refused", () => {
    expect(refused(["b => a"])).toBe("bytes: the hard link b in a layer leads to a, which is not in the image");
    expect(refused(["b => a", "a=1"])).toContain("not in the image");
    expect(refused(["a/", "b => a"])).toContain("leads to a folder");
    expect(refused(["b => ../../etc/shadow"])).toContain("leads outside");
  });
});

it("refuses what cannot be in a file system", () => {
  expect(refused(["../x=1"])).toContain("leads outside");
  expect(refused(["a=1", "a/b=2"])).toBe("bytes: a layer puts a/b below something that is no folder");
  expect(refused(["a -> a", "a/b=1"])).toContain("without end");
  expect(refused([`${"n".repeat(256)}=1`])).toContain("longer than file systems have");
  expect(refused([`${"a/".repeat(2_100)}b=1`])).toContain("longer than file systems have");
  expect(refused([`l -> ${"x".repeat(4_096)}`])).toContain("leads to nothing that can be a path");
  const of =
    (over: Partial<TarEntry>): (() => ImageTree) =>
    () =>
      treeOf([entry({ name: "x", kind: "file", ...over })]);
  expect(of({ uid: -1 })).toThrow("the owner of x");
  expect(of({ kind: "block", major: 5_000 })).toThrow("a number that is none");
  expect(of({ xattrs: [["user.a", "v".repeat(70_000)]] })).toThrow("extended attributes");
});

it("leaves out what would be taken for the overlay's own", () => {
  const tree = treeOf([
    entry({
      name: "d",
      kind: "directory",
      xattrs: [
        ["trusted.overlay.opaque", "y"],
        ["trusted.overlay.redirect", "/x"],
        ["user.a", "b"],
        ["trusted.xeno.posix_acl_access", "c"],
      ],
    }),
  ]);
  expect(tree.find("d")?.inode.xattrs).toEqual([["user.a", "b"]]);
  // a device with the number of a whiteout is one, as the kernel sees it
  expect(listing(treeOf(layerOf("a=1"), [entry({ name: "a", kind: "character" })]))).toEqual([]);
});

it("has times as the disk's file system can, and 1970 where engines take a time for none", () => {
  const timeOf = (mtime: number): number | undefined => treeOf([entry({ name: "x", kind: "file", mtime })]).find("x")?.inode.mtime;
  expect([-5, 0, 2 ** 32 - 1, 2 ** 32, 9_223_372_036, 9_223_372_037].map(timeOf)).toEqual([0, 0, 2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1, 0]);
});

describe("a disk of an overlay", () => {
  /** The last layer's disk: whiteouts as `-a`, opaque folders as `a/!`. */
  const disk = (...layers: string[][]): string[] =>
    belowRoot(
      contentOf(
        treeOf(...layers.map((words) => layerOf(...words))),
        layers.map((_, i) => String(i)),
      ),
    ).map(({ path, inode, link, isOpaque }) =>
      inode ? `${path}${inode.kind === "directory" ? "/" : link === null ? "" : ` => ${link}`}${isOpaque ? "!" : ""}` : `-${path}`,
    );

  it("holds what changed, with the folders above it", () => {
    expect(disk(["a/", "a/b=1", "c=1"], ["a/d=2"])).toEqual(["a/", "a/d"]);
    expect(disk(["a/", "a/b=1", "c=1"], [])).toEqual([]);
    expect(disk(["a/", "a/b=1"], ["a/.wh.b", ".wh.zz"])).toEqual(["a/", "-a/b"]);
  });
  it("holds the root where that changed, and the first one always", () => {
    const paths = (...layers: TarEntry[][]): string[] => contentOf(treeOf(...layers), ["0", "1"]).items.map(({ path }) => path);
    expect(paths([])).toEqual([""]);
    expect(paths(layerOf("a=1"), [])).toEqual([]);
    expect(paths(layerOf("a=1"), layerOf("./=700"))).toEqual([""]);
  });
  it("makes a folder opaque where another was", () => {
    expect(disk(["a/", "a/b/", "a/b/c=1"], [".wh.a", "a/", "a/x=1"])).toEqual(["a/!", "a/x"]);
    expect(disk(["a/", "a/b/", "a/b/c=1"], ["a/", "a/.wh..wh..opq", "a/b/"])).toEqual(["a/", "a/b/!"]);
    expect(disk(["a=1"], ["a/", "a/x=1"])).toEqual(["a/", "a/x"]);
    expect(disk(["a/", "a/x=1"], ["a=1"])).toEqual(["a"]);
  });
  it("brings all names of a file that got one more", () => {
    expect(disk(["a=1", "d/b => a", "c=1"], ["e => a"])).toEqual(["d/", "a", "e => a", "d/b => a"]);
    expect(disk(["a=1", "b => a"], [".wh.b", "e => a"])).toEqual(["-b", "a", "e => a"]);
  });
  it("is the same for the same changes, whatever lies below", () => {
    const digestOf = (...layers: string[][]): string =>
      contentOf(treeOf(...layers.map((words) => layerOf(...words))), ["0", "1"].slice(-layers.length)).digest;
    expect(digestOf(["x=1"], ["a/", "a/b=1"])).toBe(digestOf(["y=2", "a/=700"], ["a/", "a/b=1"]));
    expect(digestOf(["x=1"], ["a/", "a/b=1"])).not.toBe(digestOf(["x=1"], ["a/=700", "a/b=1"]));
  });
});

describe("disks on top of each other", () => {
  type Shown = Map<string, { line: string; isFolder: boolean }>;
  const isBelow = (at: string, folder: string): boolean => at.startsWith(`${folder}/`);

  /** One more disk on top, by overlayfs's own rules. */
  function shownWith(before: Shown, content: DiskContent): Shown {
    const items = belowRoot(content);
    const shown: Shown = new Map(before);
    const clear = (folder: string): void => {
      for (const at of [...shown.keys()]) if (isBelow(at, folder)) shown.delete(at);
    };
    const files = new Map(items.flatMap(({ path, inode, link }) => (inode && link === null ? [[path, inode] as const] : [])));
    for (const { path, inode, link, isOpaque } of items) {
      const real = link === null ? inode : files.get(link);
      const isFolder = real?.kind === "directory";
      if (!isFolder || isOpaque || shown.get(path)?.isFolder === false) clear(path);
      shown.delete(path);
      if (!real) continue;
      shown.set(path, { line: `${path} ${real.kind} ${real.mode} ${real.target} ${real.xattrs[0]?.[1] ?? ""}`, isFolder });
    }
    return shown;
  }

  function linesOf(tree: ImageTree): string[] {
    const lines: string[] = [];
    const walk = (place: Place, path: string): void => {
      for (const child of place.children?.values() ?? []) {
        const { kind, mode, target, xattrs } = child.inode;
        lines.push(`${path}${child.name} ${kind} ${mode} ${target} ${xattrs[0]?.[1] ?? ""}`);
        walk(child, `${path}${child.name}/`);
      }
    };
    walk(tree.root, "");
    return lines.sort();
  }

  const name = fc.array(fc.constantFrom("a", "b", "c"), { minLength: 1, maxLength: 3 }).map((parts) => parts.join("/"));
  const word = fc.oneof(
    { arbitrary: fc.tuple(name, fc.constantFrom("755", "700")).map(([at, mode]) => `${at}/=${mode}`), weight: 3 },
    { arbitrary: fc.tuple(name, fc.nat(99)).map(([at, text]) => `${at}=${text}`), weight: 3 },
    { arbitrary: fc.tuple(name, name).map(([at, to]) => `${at} -> ${to}`), weight: 1 },
    { arbitrary: fc.tuple(name, name).map(([at, to]) => `${at} => ${to}`), weight: 1 },
    { arbitrary: name.map((at) => `${at.slice(0, -1)}.wh.${at.slice(-1)}`), weight: 2 },
    { arbitrary: name.map((at) => `${at}/.wh..wh..opq`), weight: 1 },
  );
  const images = fc.array(fc.array(word, { maxLength: 8 }), { minLength: 1, maxLength: 6 });

  it("show what the layers make, however many layers share a disk", () => {
    let taken = 0;
    fc.assert(
      fc.property(images, fc.integer({ min: 1, max: 3 }), (layers, together) => {
        const tree = new ImageTree();
        let shown: Shown = new Map();
        for (const [i, words] of layers.entries()) {
          if (i % together === 0) tree.group();
          // what is refused leaves the tree half done, and is no image
          try {
            const layer = layerOf(...words);
            atOnce(tree.applying(() => layer, i));
          } catch (error) {
            if (error instanceof Refusal) return;
            throw error;
          }
          if (i % together === together - 1 || i === layers.length - 1)
            shown = shownWith(
              shown,
              contentOf(
                tree,
                layers.map((_, k) => String(k)),
              ),
            );
        }
        taken++;
        expect([...shown.values()].map(({ line }) => line).sort()).toEqual(linesOf(tree));
      }),
      { numRuns: 20_000, seed: 3 },
    );
    expect(taken).toBeGreaterThan(1_000);
  });
});
