/** Folders that no layer lists, links in the way, hard links, and names as long and as strange as file systems have them. */
import { dir, entry, file, fifo, hard, symlink, tar, utf8, whiteout } from "./entries.ts";
import { plain, type Row } from "./row.ts";

const CLAMPED = "to it the root's parent is the root; a path that leads outside is an attack or a mistake, and told";
const BELOW = "it unpacks below a folder of the host, whose path counts as well";
const TWICE = "it removes the file before it links to it; GNU tar writes this where a file is named twice";

const long = "n".repeat(255);
/** A path of that many bytes. */
const deep = (bytes: number): string =>
  `${`${"d".repeat(99)}/`.repeat(Math.floor((bytes - 1) / 100))}${"f".repeat(((bytes - 1) % 100) + 1)}`;

export const PARENTS: readonly Row[] = [
  {
    what: "layers without their parents' entries (kaniko, buildpacks)",
    layers: plain(tar(dir("t/", { mode: 0o1777, uid: 5, gid: 6 }), file("t/a", "a")), tar(file("t/b", "b"), file("n/m/c", "c"))),
  },
  { what: "no folder has an entry", layers: plain(tar(file("a/b/c", "1"), symlink("a/d", "b"), fifo("e/f"))) },
  {
    what: "parents come after what is in them",
    layers: plain(tar(file("a/b", "1"), dir("a/", { mode: 0o700, uid: 3, gid: 4, mtime: 5 }))),
  },
  {
    what: "a lower folder is a link",
    layers: plain(tar(dir("usr/"), dir("usr/lib/"), symlink("lib", "usr/lib")), tar(file("lib/x", "x"))),
  },
  { what: "a lower folder is an absolute link", layers: plain(tar(dir("etc/"), symlink("abs", "/etc")), tar(file("abs/x", "x"))) },
  { what: "a lower folder is a link out of the image", layers: plain(tar(dir("b/"), symlink("up", "../../../b")), tar(file("up/x", "x"))) },
  {
    what: "a lower folder is a link to nothing",
    podman: ["it makes no folder where a link leads to nothing", "refuses"],
    layers: plain(tar(symlink("l", "nothing")), tar(file("l/x", "x"))),
  },
  {
    what: "a lower folder is a chain of links",
    layers: plain(tar(dir("d/"), symlink("c", "d"), symlink("b", "./c"), symlink("a", "/b")), tar(file("a/x", "x"))),
  },
  {
    what: "a folder takes the place of a link to one",
    layers: plain(tar(dir("t/"), file("t/f", "f"), symlink("l", "t")), tar(dir("l/"), file("l/x", "x"))),
  },
  { what: "the root has an entry", layers: plain(tar(dir("./", { mode: 0o711, uid: 7, gid: 8, mtime: 9 }), file("./a", "a"))) },
  {
    what: "names with dots, slashes and a root",
    layers: plain(tar(dir("./a//"), file("/a/./b", "b"), file("a/x/../c", "c"), dir("a/x/"))),
  },
  {
    what: "a path through a circle of links",
    layers: plain(tar(symlink("a", "b"), symlink("b", "a"), file("a/x", "x"))),
    refused: "from link to link without end",
  },
  { what: "a path below a file", layers: plain(tar(file("a", "1"), file("a/b", "2"))), refused: "below something that is no folder" },
  {
    what: "a path out of the image",
    podman: [CLAMPED, "takes"],
    umoci: [CLAMPED, "takes"],
    layers: plain(tar(file("../x", "x"))),
    refused: "leads outside",
  },
];

export const LINKS: readonly Row[] = [
  { what: "a hard link into a lower layer", layers: plain(tar(file("a", "1")), tar(hard("b", "a"))) },
  {
    what: "a hard link into a lower layer whose file has two names",
    layers: plain(tar(file("a", "1"), hard("b", "a")), tar(hard("d/c", "b"))),
  },
  { what: "a hard link to a symbolic link", layers: plain(tar(symlink("s", "nothing"), hard("h", "s"))) },
  { what: "a hard link to a fifo", layers: plain(tar(fifo("p"), hard("q", "p"))) },
  { what: "a hard link before its file", layers: plain(tar(hard("b", "a"), file("a", "1"))), refused: "is not in the image" },
  { what: "a hard link to a folder", layers: plain(tar(dir("a/"), hard("b", "a"))), refused: "leads to a folder" },
  { what: "a hard link out of the image", layers: plain(tar(hard("b", "../../etc/shadow"))), refused: "leads outside" },
  { what: "hard links by dots and from the root", layers: plain(tar(dir("d/"), file("d/a", "1"), hard("b", "./d/a"), hard("c", "/d/a"))) },
  { what: "a hard link through a link", layers: plain(tar(dir("d/"), file("d/a", "1"), symlink("s", "d"), hard("b", "s/a"))) },
  {
    what: "a hard link to itself, as GNU tar writes it",
    podman: [TWICE, "refuses"],
    umoci: [TWICE, "refuses"],
    layers: plain(tar(file("a", "1"), hard("a", "a"))),
  },
  { what: "a hard link that states a size", layers: plain(tar(file("a", "12345"), hard("b", "a", { size: 5 }), file("c", "after"))) },
  {
    what: "a hard link with mode, owner and time of its own",
    umoci: [
      "it takes only the name; podman, docker and containerd take what the link says of the file",
      [
        "a mode: 600, 644",
        "a owner: 9:0, 0:0",
        "a mtime: 9, 1000000000",
        "b mode: 600, 644",
        "b owner: 9:0, 0:0",
        "b mtime: 9, 1000000000",
      ],
    ],
    layers: plain(tar(file("a", "1"), hard("b", "a", { mode: 0o600, uid: 9, mtime: 9 }))),
  },
  { what: "the first of two names is replaced above", layers: plain(tar(file("a", "1"), hard("b", "a")), tar(file("a", "2"))) },
  { what: "a hard link to what its own layer hides", layers: plain(tar(file("a", "1")), tar(hard("b", "a"), whiteout("a"))) },
  { what: "a hard link takes a folder's place", layers: plain(tar(file("f", "1"), dir("d/"), file("d/x", "x")), tar(hard("d", "f"))) },
];

export const NAMES: readonly Row[] = [
  {
    what: "names and targets about as long as a header's field (squashfs-tools-ng #64)",
    layers: plain(
      tar(
        ...[94, 95, 96, 99, 100, 101].flatMap((length) => [
          file("f", String(length), { pax: [["path", deep(length)]] }),
          symlink(`s${length}`, "", { pax: [["linkpath", `../${"t".repeat(length - 3)}`]] }),
          hard(`h${length}`, "", { pax: [["linkpath", deep(length)]] }),
        ]),
      ),
    ),
  },
  {
    what: "folders that nobody may write to, and files that nobody may read (singularity #1060, umoci #222)",
    layers: plain(
      tar(dir("d/", { mode: 0o555 }), file("d/a", "1", { mode: 0 })),
      tar(file("d/b", "2", { mode: 0 }), file("d/a", "3", { mode: 0 })),
    ),
  },
  {
    what: "names that are not UTF-8",
    layers: plain(tar(dir("d\xff/"), file("d\xff/\xe4\xf6\xfc", "1"), symlink("s", "d\xff/\xe4"), hard("\x80", "d\xff/\xe4\xf6\xfc"))),
  },
  {
    what: "names in UTF-8, composed and not, and with new lines",
    layers: plain(tar(file(utf8("\u00e9"), "1"), file(utf8("e\u0301"), "2"), file("a\nb", "3"), file(" ", "4"), file("\x01\x7f", "5"))),
  },
  {
    what: "names of 255 bytes",
    layers: plain(tar(dir(`${long}/`, { pax: [["path", `${long}/`]] }), file("f", "1", { pax: [["path", `${long}/${long}`]] }))),
  },
  {
    what: "a name of 256 bytes",
    layers: plain(tar(file("f", "1", { pax: [["path", `${long}n`]] }))),
    refused: "longer than file systems have",
  },
  { what: "a path of 3,500 bytes", layers: plain(tar(file("f", "1", { pax: [["path", deep(3_500)]] }))) },
  {
    what: "a path of 4,095 bytes",
    podman: [BELOW, "refuses"],
    umoci: [BELOW, "refuses"],
    layers: plain(tar(file("f", "1", { pax: [["path", deep(4_095)]] }))),
  },
  {
    what: "a path of 4,096 bytes",
    layers: plain(tar(file("f", "1", { pax: [["path", deep(4_096)]] }))),
    refused: "longer than file systems have",
  },
  { what: "a link of 4,095 bytes", layers: plain(tar(symlink("l", "", { pax: [["linkpath", "t".repeat(4_095)]] }))) },
  {
    what: "an entry without a name",
    refused: "makes the root something that is no folder",
    layers: plain(tar(file("a", "1"), entry("0", "", { data: "x" }))),
  },
  {
    what: "the same name many times, of many kinds",
    podman: ["it takes no name twice; to the specification the last counts", "refuses"],
    layers: plain(tar(file("x", "1"), dir("x/"), file("x/y", "2"), symlink("x", "z"), file("x", "3"), file("x", "4"))),
  },
  {
    what: "a file whose name ends with a slash",
    refused: "below something that is no folder",
    layers: plain(tar(file("d/", ""), file("d/x", "x"))),
  },
];
