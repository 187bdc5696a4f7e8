/** Layers that people reported of tools which build images, each with its report: what those tools wrote, and engines fell over. */
import { device, dir, entry, file, hard, opaque, symlink, tar, whiteout } from "./entries.ts";
import { plain, type Row } from "./row.ts";

const base = tar(dir("a/"), file("a/a", "1"), dir("baz/"), file("top", "t"));

/** What podman does, as in the other tables. */
const IN_ORDER = "it goes through the archive in order, and hides what the same layer brought";
const MAKES = "it makes the folder of a whiteout that hides nothing";
const TWICE = "no name may come twice in it";
const FILE = "with vfs it stops where there is no folder; with its default driver it takes it, as docker does with its own";
const KEPT = "it keeps a hidden folder that its layer has files in, with its attributes";
const OVERLAY = "an overlay shows nothing there, whether it is a whiteout or a device of that number";
const NO_FOLDER = "it stops where there is no folder: what kaniko wrote so nobody could pull";

export const REPORTED: readonly Row[] = [
  {
    what: "a folder becomes a link, and what was in it is hidden first (kaniko 2308)",
    layers: plain(base, tar(whiteout("a/a"), dir("/"), symlink("a", "b"), dir("b/"))),
  },
  {
    what: "a folder becomes a link, and what was in it is hidden after that (kaniko 2308)",
    layers: plain(base, tar(dir("/"), symlink("a", "b"), dir("b/"), whiteout("a/a"))),
  },
  {
    what: "a folder becomes a file, and what was in it is hidden (kaniko 2308)",
    podman: [NO_FOLDER, "refuses"],
    layers: plain(base, tar(file("a", "file"), whiteout("a/a"))),
  },
  {
    what: "below a folder that a lower layer hid something is hidden, before its folders come (containerd 4659)",
    podman: [MAKES, ["root/dirA/dirB: theirs alone"]],
    layers: plain(
      tar(dir("root/"), dir("root/dirA/"), dir("root/dirA/dirB/"), file("root/dirA/dirB/fileA", "1")),
      tar(whiteout("root/dirA")),
      tar(whiteout("root/dirA/dirB/fileA"), dir("/"), dir("root/"), dir("root/dirA/"), file("root/dirA/fileB", "2")),
    ),
  },
  {
    what: "a folder is hidden behind what is new in it (kaniko 952)",
    podman: [IN_ORDER, ["etc/service/apache: ours alone", "etc/service/apache/run: ours alone"]],
    umoci: [KEPT, ["etc/service/apache mtime: 0, 1000000000"]],
    layers: plain(
      tar(dir("etc/"), dir("etc/service/"), dir("etc/service/apache/"), file("etc/service/apache/run", "1")),
      tar(file("etc/service/apache/run", "1", { mode: 0o500 }), whiteout("etc/service/apache")),
    ),
  },
  {
    what: "the root as a hard link to a dot (kaniko 1151)",
    refused: "makes the root something that is no folder",
    layers: plain(base, tar(entry("5", ".", { mode: 0o755 }), hard("/", "."), symlink("link", "nowhere"))),
  },
  {
    what: "hard links from link to link (buildah 6297)",
    layers: plain(
      tar(
        dir("tmp/"),
        file("tmp/end", "end"),
        hard("tmp/link1", "tmp/end"),
        hard("tmp/link10", "tmp/link1"),
        hard("tmp/link2", "tmp/link10"),
      ),
    ),
  },
  {
    what: "a file takes the place of a link to a program of many names (kaniko 359)",
    layers: plain(
      tar(dir("bin/"), file("bin/busybox", "box", { mode: 0o755 }), symlink("bin/tar", "/bin/busybox"), symlink("bin/sh", "busybox")),
      tar(file("bin/tar", "tar", { mode: 0o755 })),
    ),
  },
  {
    what: "a link takes the place of one of two names of a file (kaniko 282)",
    layers: plain(
      tar(dir("bin/"), dir("core/"), file("bin/git", "git"), hard("core/git", "bin/git")),
      tar(dir("bin/"), symlink("bin/git", "/core/git")),
    ),
  },
  {
    what: "a hard link whose file is a link above (kaniko 351)",
    layers: plain(tar(dir("y/"), file("y/a", "a"), hard("y/b", "y/a")), tar(dir("y/"), hard("y/b", "y/a"), file("y/a", "a"))),
  },
  {
    what: "files through a folder that is a link below, by their own path (kaniko 1038)",
    layers: plain(
      tar(dir("usr/"), dir("usr/lib64/"), symlink("lib64", "usr/lib64")),
      tar(file("lib64/lib.so.1", "1"), file("usr/lib64/lib.so.2", "2")),
    ),
  },
  {
    what: "a folder's entry takes the place of a link to a folder, with a file in it (kaniko 1038)",
    layers: plain(
      tar(dir("usr/"), dir("usr/lib64/"), file("usr/lib64/ld", "1"), symlink("lib64", "usr/lib64")),
      tar(dir("lib64/"), file("lib64/lib.so.1", "1")),
    ),
  },
  {
    what: "folders stated again with other owners and bits (jib 2782, 3594)",
    layers: plain(
      tar(dir("tmp/", { mode: 0o1777, uid: 5, gid: 6 }), dir("app/", { uid: 1200 })),
      tar(dir("tmp/"), file("tmp/x", "x"), dir("app/"), dir("app/sub/", { uid: 1200, gid: 1200 })),
    ),
  },
  {
    what: "folders that nobody may enter (jib 523)",
    layers: plain(tar(dir("app/", { mode: 0o600 }), dir("app/classes/", { mode: 0o600 }), file("app/classes/x", "x", { mode: 0o600 }))),
  },
  {
    what: "links that lead above the root and back (e2b 3215)",
    layers: plain(
      tar(dir("a/"), dir("a/b/"), file("a/b/c", "1"), symlink("l", "../../a/b"), symlink("abs", "/../../a/b/c")),
      tar(file("l/new", "2")),
    ),
  },
  {
    what: "a whiteout of what is a folder below and a file above, in one layer (img 349)",
    layers: plain(
      tar(dir("tmp/"), dir("tmp/patch/"), file("tmp/patch/init", "1")),
      tar(dir("tmp/"), whiteout("tmp/patch"), file("tmp/patch", "now a file")),
    ),
  },
  {
    what: "opaque where no lower layer has the folder (container2wasm 257)",
    layers: plain(base, tar(dir("var/"), dir("var/cache/"), opaque("var/cache/"))),
  },
  {
    what: "opaque, below a folder that is hidden in the same layer",
    layers: plain(
      base,
      tar(whiteout("a"), dir("a/"), opaque("a/"), file("a/n", "n")),
      tar(opaque("a/"), dir("a/"), dir("a/x/"), whiteout("a/n")),
    ),
  },
  {
    what: "whiteouts of one name twice, and of both forms",
    podman: [TWICE, "refuses"],
    umoci: [OVERLAY, ["a/a: theirs alone"]],
    layers: plain(base, tar(whiteout("a/a"), whiteout("a/a"), device("3", "a/a", 0, 0))),
  },
  {
    what: "a buildpack's layer over itself, hidden between (pack 1322, 1336)",
    layers: plain(
      tar(dir("cnb/"), dir("cnb/bp/"), dir("cnb/bp/1/"), file("cnb/bp/1/old", "1"), file("cnb/bp/1/both", "1")),
      tar(whiteout("cnb/bp/1")),
      tar(dir("cnb/"), dir("cnb/bp/"), dir("cnb/bp/1/"), file("cnb/bp/1/both", "2")),
    ),
  },
  {
    what: "a folder's name with and without its slash, in two layers (pack 430)",
    layers: plain(
      tar(entry("5", "/buildpacks", { mode: 0o755 }), entry("5", "/buildpacks/x", { mode: 0o755 })),
      tar(entry("5", "/buildpacks/x/v1/", { mode: 0o755 }), file("/buildpacks/x/v1/f", "1")),
    ),
  },
  {
    what: "the root stated three times (kaniko 1375)",
    podman: [TWICE, "refuses"],
    layers: plain(base, tar(dir("/"), dir("./"), dir("//"), file("/x", "x"), hard("y", "/x"))),
  },
  {
    what: "attributes that a builder's overlay left, one without a value (guest-components 1737, moby 47517)",
    layers: plain(
      tar(
        dir("etc/", {
          xattrs: [
            ["user.overlay.impure", "y"],
            ["user.overlay.origin", ""],
          ],
        }),
        file("etc/passwd", "x", {
          xattrs: [
            ["user.overlay.origin", ""],
            ["trusted.overlay.origin", "\x00\xfb!\x00"],
          ],
        }),
      ),
      tar(
        dir("etc/", { xattrs: [["trusted.overlay.impure", "y"]] }),
        file("etc/group", "y", { xattrs: [["trusted.overlay.redirect", "/x"]] }),
      ),
    ),
  },
  {
    what: "a label of SELinux that ends with a zero, of a folder (podman 12416)",
    layers: plain(tar(dir("vendor/", { xattrs: [["security.selinux", "u:object_r:vendor_file:s0\0"]] }), file("vendor/x", "x"))),
  },
  {
    what: "attributes on a fifo beside those of files (podman 24595)",
    podman: ["the kernel takes none there; later versions pass over it", "refuses"],
    umoci: ["as podman", "refuses"],
    layers: plain(
      tar(dir("s6/"), entry("6", "s6/control", { xattrs: [["user.containers.override_stat", "0:0:0600"]] }), file("s6/run", "x")),
    ),
  },
  {
    what: "links in a folder that lead out of it, to the root and far above (buildah 2249, podman 6003)",
    layers: plain(
      tar(dir("escape/"), symlink("escape/symlink", "../../../../../../../../../../"), symlink("escape/root", "/")),
      tar(dir("escape/"), file("escape/root/x", "x")),
    ),
  },
  {
    what: "the folder of settings is a link (podman 12189)",
    layers: plain(
      tar(dir("usr/"), dir("usr/etc/"), file("usr/etc/passwd", "root:x:0:0"), symlink("etc", "usr/etc")),
      tar(file("etc/hosts", "h"), whiteout("etc/passwd")),
    ),
  },
  {
    what: "a folder and what was in it are hidden, each by its own name (umoci 254)",
    podman: [MAKES, ["test: theirs alone"]],
    layers: plain(
      tar(dir("test/"), dir("test/d/"), file("test/test", "1")),
      tar(dir("./"), whiteout("test"), whiteout("test/test"), whiteout("test/d")),
    ),
  },
  {
    what: "a file below what a lower layer has as a file (umoci 546)",
    podman: [FILE, "refuses"],
    umoci: ["later versions take it", "refuses"],
    layers: plain(base, tar(file("top/below/file", "1"))),
  },
  {
    what: "a file below what a lower layer has as a link to nothing, and to a file (umoci 546)",
    refused: "puts l/x below something that is no folder",
    layers: plain(tar(file("f", "1"), symlink("l", "f"), symlink("n", "none")), tar(file("l/x", "2"), file("n/y", "3"))),
  },
  { what: "opaque where a lower layer has a file (umoci 572)", layers: plain(base, tar(opaque("top/"))) },
  {
    what: "a hidden folder that comes again by what is in it alone (umoci 546)",
    layers: plain(tar(dir("d/"), dir("d/e/", { mode: 0o700, uid: 7 }), file("d/e/old", "1")), tar(whiteout("d/e"), file("d/e/f/new", "2"))),
  },
  {
    what: "names hidden in a folder that is opaque, before and after (umoci 572)",
    layers: plain(base, tar(whiteout("a/a"), opaque("a/"), file("a/n", "n"), whiteout("a/none"))),
  },
  {
    what: "an overlay's own mark of opaque beside a folder's files (umoci 538)",
    layers: plain(base, tar(dir("a/", { xattrs: [["trusted.overlay.opaque", "y"]] }), file("a/n", "n"))),
  },
  {
    what: "opaque behind the files of its own layer, two folders deep (wsl-ui 114, concourse 267)",
    layers: plain(
      tar(dir("a/"), dir("a/b/"), file("a/b/old", "1"), file("a/old", "2")),
      tar(dir("a/"), dir("a/b/"), file("a/b/new", "3"), opaque("a/")),
    ),
  },
  {
    what: "a layer for nothing between others, twice (rules_oci 257, containers/image 370)",
    layers: plain(base, tar(), tar(file("a/n", "n")), tar(), tar(), tar(whiteout("a/n"))),
  },
  {
    what: "a link below whose name a folder is hidden (hypeman 456)",
    layers: plain(tar(dir("t/"), file("t/f", "f"), symlink("l", "/t")), tar(whiteout("l"), dir("l/"), file("l/g", "g"))),
  },
  {
    what: "whiteouts that are hard links, to a file of a lower layer and to one that is not there (smolvm 397)",
    layers: plain(
      tar(dir("tmp/"), file("tmp/key", "k"), file("tmp/other", "o"), file("tmp/repo", "r")),
      tar(dir("tmp/"), hard("tmp/.wh.key", "tmp/repo"), hard("tmp/.wh.other", "tmp/none")),
    ),
  },
];
