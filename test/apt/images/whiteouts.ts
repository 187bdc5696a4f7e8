/** What upper layers hide: the image specification's layer.md, and cases in which engines were found wrong. */
import { device, dir, fifo, file, hard, opaque, symlink, tar, whiteout } from "./entries.ts";
import { plain, type Row } from "./row.ts";

/** Layers are unordered sets to the specification: "whiteout files MUST only apply to resources in lower/parent layers". */
const IN_ORDER = "it goes through the archive in order, and hides what the same layer brought";
const NOTES = "AUFS's notes are no files of the image: docker leaves them out, and so do we";
const OVERLAY = "an overlay shows nothing there, as podman's own with its default driver; it was asked with vfs, which is no overlay";

const AT_A_LINK = "it follows the link; podman looks below the link itself, where nothing is";

const long = "n".repeat(255);
const named = (path: string): Buffer => file("f", "", { pax: [["path", path]] });
const base = tar(dir("a/"), file("a/b", "b"), file("a/c", "c"), dir("a/d/"), file("a/d/e", "e"), file("top", "t"));

export const WHITEOUTS: readonly Row[] = [
  { what: "a file is hidden", layers: plain(base, tar(dir("a/"), whiteout("a/b"))) },
  { what: "a folder with all in it is hidden", layers: plain(base, tar(whiteout("a"))) },
  {
    what: "what is not there is hidden, where no folder is either",
    podman: ["it makes the folder of a whiteout that hides nothing", ["x: theirs alone"]],
    layers: plain(base, tar(whiteout("none"), whiteout("x/y"))),
  },
  { what: "a folder is hidden, then brought anew", layers: plain(base, tar(whiteout("a"), dir("a/"), file("a/new", "n"))) },
  {
    what: "a folder is brought anew, then hidden",
    podman: [IN_ORDER, "refuses"],
    layers: plain(base, tar(dir("a/"), file("a/new", "n"), whiteout("a"))),
  },
  {
    what: "a file is brought anew, then hidden",
    podman: [IN_ORDER, ["top: ours alone"]],
    layers: plain(base, tar(file("top", "new"), whiteout("top"))),
  },
  { what: "opaque, its own entry first", layers: plain(base, tar(dir("a/"), opaque("a/"), file("a/new", "n"))) },
  { what: "opaque after what is new", layers: plain(base, tar(dir("a/"), file("a/new", "n"), opaque("a/"))) },
  { what: "opaque without an entry of the folder", layers: plain(base, tar(opaque("a/"))) },
  { what: "opaque, and a folder below comes back", layers: plain(base, tar(dir("a/"), opaque("a/"), dir("a/d/"), file("a/d/f", "f"))) },
  { what: "opaque root", layers: plain(base, tar(opaque(""), file("only", "o"))) },
  {
    what: "opaque twice, in two layers",
    layers: plain(base, tar(dir("a/"), opaque("a/"), file("a/1", "1")), tar(dir("a/"), opaque("a/"), file("a/2", "2"))),
  },
  {
    what: "a link is hidden, not what it leads to",
    layers: plain(tar(dir("t/"), file("t/f", "f"), symlink("l", "t")), tar(whiteout("l"))),
  },
  {
    what: "a path through a link is hidden",
    layers: plain(tar(dir("t/"), file("t/f", "f"), file("t/g", "g"), symlink("l", "t")), tar(whiteout("l/f"))),
  },
  {
    what: "opaque where a lower layer has a link of that name",
    layers: plain(tar(dir("t/"), file("t/f", "f"), symlink("l", "t")), tar(dir("l/"), opaque("l/"), file("l/n", "n"))),
  },
  {
    what: "a file becomes a folder and a file again",
    layers: plain(tar(file("x", "1")), tar(dir("x/"), file("x/y", "2")), tar(file("x", "3"))),
  },
  { what: "a folder becomes a link, hidden first", layers: plain(base, tar(whiteout("a"), symlink("a", "other"), dir("other/"))) },
  {
    what: "a folder becomes a link without a whiteout",
    layers: plain(base, tar(symlink("a", "other"), dir("other/"), file("other/o", "o"))),
  },
  { what: "a folder becomes a fifo and a device", layers: plain(base, tar(fifo("a")), tar(device("3", "a", 1, 3))) },
  {
    what: "a whiteout that is a folder, a link, a hard link",
    layers: plain(base, tar(dir("a/.wh.b/"), symlink("a/.wh.c", "b"), hard(".wh.top", "a/c"))),
  },
  {
    what: "notes of AUFS",
    podman: [NOTES, [".wh..wh.plnk: theirs alone"]],
    umoci: [NOTES, [".wh..wh.plnk: theirs alone", ".wh..wh.plnk/7.8: theirs alone"]],
    layers: plain(base, tar(file(".wh..wh.aufs"), dir(".wh..wh.plnk/"), file(".wh..wh.plnk/7.8", "x"), dir(".wh..wh.orph/"))),
  },
  {
    what: "hidden names that begin with dots",
    layers: plain(tar(file("..x", "1"), file(".y", "2"), file("...", "3")), tar(whiteout("..x"), whiteout(".y"))),
  },
  {
    what: "a device of the number of an overlay's whiteout",
    podman: [OVERLAY, ["top: theirs alone"]],
    umoci: [OVERLAY, ["top: theirs alone"]],
    layers: plain(base, tar(device("3", "top", 0, 0))),
  },
  {
    what: "the lowest layer hides and is opaque",
    layers: plain(tar(dir("a/"), opaque("a/"), file("a/b", "b"), whiteout("none"), dir("c/")), tar(file("a/c", "c"))),
  },
  {
    what: "a whiteout of a hard link's other name",
    layers: plain(tar(file("a", "1"), hard("b", "a"), hard("c", "a")), tar(whiteout("a"))),
  },
  {
    what: "opaque through a link",
    umoci: [AT_A_LINK, ["a/b: ours alone", "a/c: ours alone", "a/d: ours alone", "a/d/e: ours alone"]],
    layers: plain(base, tar(symlink("l", "a")), tar(opaque("l/"), file("l/new", "n"))),
  },
  { what: "opaque below a link", layers: plain(base, tar(symlink("l", "a")), tar(opaque("l/d/"), file("l/d/new", "n"))) },
  { what: "a name of 255 bytes is hidden", layers: plain(tar(named(long), file("k")), tar(named(`.wh.${long}`))) },
  ...["a/.wh.", "a/.wh..", "a/d/.wh..."].map((name): Row => ({
    what: `a whiteout of no name: ${name}`,
    refused: "which hides no file that has a name",
    podman: ["it removes the folder itself, or the one above; with its default driver it refuses", "takes"],
    layers: plain(base, tar(file(name))),
  })),
  { what: "a whiteout of no name in the root", refused: "which hides no file that has a name", layers: plain(base, tar(file(".wh."))) },
  {
    what: "a file below a folder whose name is a whiteout's",
    layers: plain(tar(file("foo", "1")), tar(dir(".wh.foo/"), file(".wh.foo/bar", "2"))),
  },
  {
    what: "below a file nothing is hidden",
    podman: ["it stops where there is no folder", "refuses"],
    layers: plain(base, tar(whiteout("top/x"))),
  },
  {
    what: "a hard link to a file that AUFS keeps for it",
    podman: [NOTES, [".wh..wh.plnk: theirs alone"]],
    umoci: [NOTES, ["f same: undefined, .wh..wh.plnk/7.8", ".wh..wh.plnk: theirs alone", ".wh..wh.plnk/7.8: theirs alone"]],
    layers: plain(tar(dir(".wh..wh.plnk/"), file(".wh..wh.plnk/7.8", "data", { mode: 0o755, uid: 3 }), hard("f", ".wh..wh.plnk/7.8"))),
  },
  { what: "the same layer twice", layers: plain(base, base, tar(file("a/b", "2")), base) },
];
