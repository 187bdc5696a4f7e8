/** What upper layers hide: the image specification's layer.md, and cases in which engines were found wrong. */
import { device, dir, fifo, file, hard, opaque, symlink, tar, whiteout } from "./entries.ts";
import { plain, type Row } from "./row.ts";

/** Layers are unordered sets to the specification: "whiteout files MUST only apply to resources in lower/parent layers". */
const IN_ORDER = "it goes through the archive in order, and hides what the same layer brought";
const NOTES = "AUFS's notes are no files of the image: docker leaves them out, and so do we";
const OVERLAY = "an overlay shows nothing there, as podman's own with its default driver; it was asked with vfs, which is no overlay";

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
];
