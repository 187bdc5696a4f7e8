/** Archives as old, new and careless programs write them, with every field of an entry that there is. */
import { GNU, device, dir, entry, extended, fifo, file, gnuLong, hard, symlink, tar, utf8, END } from "./entries.ts";
import { plain, type Row } from "./row.ts";

/** For its owner, user 7, its group and others; with a mask. */
const ACL = `\x02\0\0\0${["\x01\0\x06\0\xff\xff\xff\xff", "\x02\0\x07\0\x05\0\0\0", "\x04\0\x04\0\xff\xff\xff\xff", "\x10\0\x07\0\xff\xff\xff\xff", "\x20\0\x04\0\xff\xff\xff\xff"].join("")}`;
const long = `${"long/".repeat(60)}name`;
const v7 = { magic: "" };
const LABEL = "it is no file; GNU tar writes it where a volume has a name, and skips it";
const TYPE_7 = "POSIX: who knows no contiguous files takes them for files";
const CUT = "the kernel keeps 32 bits of it, and so the file becomes somebody else's, root's for one";
const LATE = "squashfs keeps 32 bits, up to 2106";
const LIBARCHIVE = "it knows only the other way to write attributes; libarchive writes both";
const LIBARCHIVE_ALONE = ['f xattrs: {"user.ab":"\\u0000ÿ","user.c":"3"}, {"user.c":"3"}'];
/** Of newuidmap. */
const CAPABILITY = "\x01\0\0\x02\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

export const FORMATS: readonly Row[] = [
  {
    what: "V7",
    layers: plain(
      tar(
        entry("\0", "d/", v7),
        entry("\0", "d/f", { ...v7, data: "1" }),
        entry("1", "h", { ...v7, target: "d/f" }),
        entry("2", "s", { ...v7, target: "d" }),
      ),
    ),
  },
  { what: "ustar, with a prefix", layers: plain(tar(dir("d/"), file("e/name", "1", { prefix: "d" }), file("f", "2", { prefix: "a/b" }))) },
  { what: "GNU, with bytes where ustar has its prefix", layers: plain(tar(file("f", "1", { magic: GNU, prefix: "no prefix" }))) },
  {
    what: "GNU's long names and targets",
    layers: plain(
      tar(
        gnuLong("L", long),
        file("long", "1", { magic: GNU }),
        gnuLong("K", long),
        gnuLong("L", `${long}-link`),
        symlink("x", "y", { magic: GNU }),
        gnuLong("K", long),
        hard("h", "z", { magic: GNU }),
      ),
    ),
  },
  {
    what: "long names and targets of pax",
    layers: plain(
      tar(
        file("f", "1", { pax: [["path", long]] }),
        symlink("s", "x", { pax: [["linkpath", long]] }),
        hard("h", "x", { pax: [["linkpath", long]] }),
      ),
    ),
  },
  {
    what: "long targets that lead up, to here, and from the root (pnpm)",
    layers: plain(
      tar(
        ...["../../", "./", "/", "../.././/", "a/../"].map((start, i) => symlink(`l${i}`, "", { pax: [["linkpath", `${start}${long}`]] })),
        ...["../", "/"].map((start, i) => symlink(`x${i}`, "", { pax: [["linkpath", `${start}${long}`]], xattrs: [["trusted.a", "1"]] })),
      ),
    ),
  },
  {
    what: "names of pax and of GNU before one entry",
    layers: plain(tar(extended("x", ["path", "by-pax"]), gnuLong("L", "by-gnu"), file("f", "1"))),
  },
  {
    what: "an empty value of pax takes nothing away",
    layers: plain(
      tar(
        file("f", "1", {
          pax: [
            ["path", ""],
            ["uid", ""],
            ["mtime", ""],
          ],
          uid: 5,
        }),
      ),
    ),
  },
  {
    what: "pax's size, owner and time count, not the header's",
    layers: plain(
      tar(
        file("f", "12345", {
          size: 0,
          uid: 1,
          gid: 1,
          mtime: 1,
          pax: [
            ["size", "5"],
            ["uid", "70000"],
            ["gid", "4294967290"],
            ["mtime", "1500000000.75"],
            ["atime", "1"],
            ["ctime", "2"],
          ],
        }),
        file("g", "2"),
      ),
    ),
  },
  {
    what: "names of people do not count",
    layers: plain(
      tar(
        file("f", "1", {
          uid: 42,
          pax: [
            ["uname", "root"],
            ["gname", "root"],
          ],
        }),
      ),
    ),
  },
  {
    what: "a global header's comment (git archive)",
    umoci: ["it knows no global headers", "refuses"],
    layers: plain(tar(extended("g", ["comment", "8a9c0e1b"]), file("f", "1"))),
  },
  {
    what: "a global header's owner and time",
    umoci: ["it knows no global headers", "refuses"],
    layers: plain(tar(extended("g", ["uid", "77"], ["mtime", "5"]), file("f", "1"), file("g", "2"))),
  },
  {
    what: "a volume's label",
    podman: [LABEL, "refuses"],
    umoci: [LABEL, "refuses"],
    layers: plain(tar(entry("V", "label", { magic: GNU }), file("f", "1"))),
  },
  {
    what: "an archive cut by a lone block of zeros",
    refused: "a lone block of zeros",
    layers: plain(tar(file("a", "1"), Buffer.alloc(512), file("b", "2"))),
  },
  { what: "garbage after the end", layers: plain(Buffer.concat([tar(file("a", "1")), Buffer.alloc(700, "garbage")])) },
  { what: "another archive after the end", layers: plain(Buffer.concat([tar(file("a", "1")), tar(file("b", "2"))])) },
  { what: "no blocks of zeros at the end", layers: plain(Buffer.concat([file("a", "1"), file("b", "2")])) },
  { what: "one block of zeros at the end", layers: plain(Buffer.concat([file("a", "1"), Buffer.alloc(512)])) },
  { what: "data without its padding at the end", layers: plain(Buffer.concat([file("a", "1"), file("b", "22").subarray(0, 514)])) },
  {
    what: "data that is cut off",
    layers: plain(Buffer.concat([file("a", "1"), file("b", "2".repeat(1_000)).subarray(0, 900)])),
    refused: "it is cut off",
  },
  {
    what: "a header that is cut off",
    layers: plain(Buffer.concat([file("a", "1"), file("b", "2").subarray(0, 100)])),
    refused: "it is cut off",
  },
  { what: "a wrong sum", layers: plain(Buffer.concat([file("a", "1"), Buffer.alloc(512, 7), END])), refused: "checksum" },
  {
    what: "an entry of a kind that nobody knows",
    layers: plain(tar(file("a", "1"), entry("Z", "z", { data: "data" }), file("b", "2"))),
    refused: "kind 'Z'",
  },
  {
    what: "two extended headers before one entry",
    layers: plain(tar(extended("x", ["path", "one"], ["uid", "5"]), extended("x", ["gid", "6"]), file("f", "1"))),
  },
  {
    what: "numbers of pax with signs and zeros in front",
    layers: plain(
      tar(
        file("f", "12345", {
          size: 0,
          pax: [
            ["uid", "007"],
            ["gid", "+8"],
            ["mtime", "+5"],
            ["size", "+5"],
          ],
        }),
        file("g", "1", { pax: [["mtime", "99999999999999999"]] }),
      ),
    ),
    umoci: ["it writes what ext4 makes of such a time; podman writes 1970", ["g mtime: 0, -2147483648"]],
  },
  {
    what: "a name with a zero in an extended header",
    layers: plain(tar(file("f", "1", { pax: [["SCHILY.xattr.user.a\0b", "1"]] }))),
    refused: "a name that is none",
  },
  {
    what: "a sparse file of a form that nobody knows is what it is",
    layers: plain(
      tar(
        file("f", "1", {
          pax: [
            ["GNU.sparse.major", "2"],
            ["GNU.sparse.minor", "0"],
            ["GNU.sparse.name", "other"],
            ["GNU.sparse.realsize", "20"],
          ],
        }),
      ),
    ),
  },
  { what: "an empty layer, of no bytes", layers: plain(tar(file("a", "1")), Buffer.alloc(0), tar(file("b", "2"))) },
  { what: "empty layers, of zeros", layers: plain(tar(), Buffer.alloc(10_240), tar(file("a", "1")), tar()) },
  {
    what: "a file of type 7, and modes that hold a type",
    podman: [TYPE_7, "refuses"],
    umoci: [TYPE_7, "refuses"],
    layers: plain(tar(entry("7", "f", { data: "1" }), file("g", "2", { mode: 0o100644 }), dir("d/", { mode: 0o40750 }))),
  },
  {
    what: "star's own headers",
    layers: plain(
      tar(extended("x", ["SCHILY.dev", "1"], ["SCHILY.ino", "2"], ["SCHILY.nlink", "1"], ["SCHILY.fflags", "nodump"]), file("f", "1")),
    ),
  },
  {
    what: "binary values with a character set",
    layers: plain(
      tar(
        file("f", "1", {
          pax: [
            ["hdrcharset", "BINARY"],
            ["path", "b\xff\xfe"],
          ],
        }),
        file("g", "2"),
      ),
    ),
  },
];

export const FIELDS: readonly Row[] = [
  {
    what: "bits for owner, group and sticky",
    layers: plain(
      tar(
        file("u", "1", { mode: 0o4755 }),
        file("g", "2", { mode: 0o2711 }),
        dir("s/", { mode: 0o1777 }),
        dir("gd/", { mode: 0o2775 }),
        file("gd/none", "3", { mode: 0 }),
      ),
    ),
  },
  {
    what: "owners over 2^21, and the last there is",
    layers: plain(
      tar(
        file("a", "1", { uid: 2_097_152, gid: 4_000_000_000 }),
        file("b", "2", { uid: 4_294_967_294, gid: 65_534 }),
        symlink("l", "a", { uid: 3_000_000, gid: 9 }),
      ),
    ),
  },
  {
    what: "an owner over 2^32",
    podman: [CUT, "takes"],
    umoci: [CUT, "takes"],
    layers: plain(tar(file("a", "1", { uid: 2 ** 33 }))),
    refused: "the owner of a",
  },
  {
    what: "an owner below zero",
    podman: [CUT, "takes"],
    umoci: [CUT, "takes"],
    layers: plain(tar(file("a", "1", { uid: -2 }))),
    refused: "the owner of a",
  },
  {
    what: "times before 1970",
    umoci: ["podman writes 1970, as the disk here can", ["a mtime: 0, -1", "b mtime: 0, -86401", "c mtime: 0, -2000000000"]],
    layers: plain(
      tar(file("a", "1", { mtime: -1 }), file("b", "2", { pax: [["mtime", "-86400.5"]] }), dir("c/", { mtime: -2_000_000_000 })),
    ),
  },
  {
    what: "times of 2038 and 2106",
    podman: [LATE, ["c mtime: 4294967295, 4294967301"]],
    umoci: [LATE, ["c mtime: 4294967295, 4294967301"]],
    layers: plain(tar(file("a", "1", { mtime: 2 ** 31 }), file("b", "2", { mtime: 2 ** 32 - 1 }), file("c", "3", { mtime: 2 ** 32 + 5 }))),
  },
  {
    what: "times beyond all file systems",
    umoci: ["it writes what ext4 makes of them; podman writes 1970", ["a mtime: 0, 7766279630", "b mtime: 0, -2147483648"]],
    layers: plain(tar(file("a", "1", { pax: [["mtime", "99999999999"]] }), file("b", "1", { mtime: 2 ** 40 }))),
  },
  { what: "no time", layers: plain(tar(file("a", "1", { mtime: 0 }), dir("b/", { mtime: 0 }))) },
  {
    what: "fifos and devices",
    layers: plain(
      tar(
        fifo("p", { mode: 0o600, uid: 1, gid: 2 }),
        device("3", "null", 1, 3, { mode: 0o666 }),
        device("4", "disk", 8, 17, { mode: 0o660, gid: 6 }),
        device("3", "large", 4_000, 70_000),
      ),
    ),
  },
  {
    what: "a capability of a file (newuidmap)",
    layers: plain(
      tar(file("newuidmap", "program", { mode: 0o755, xattrs: [["security.capability", CAPABILITY]] })),
      tar(file("other", "1")),
    ),
  },
  {
    what: "attributes in bytes: zeros, new lines, equals signs, not UTF-8",
    layers: plain(
      tar(
        file("f", "1", {
          xattrs: [
            ["user.bytes", "\0\xff=\n\x80"],
            ["user.empty", ""],
            [`user.\xe4`, "1"],
            [`user.${utf8("ä")}`, "2"],
          ],
        }),
        dir("d/", { xattrs: [["user.d", "1"]] }),
      ),
    ),
  },
  {
    what: "attributes of links and of what is trusted",
    layers: plain(tar(symlink("l", "f", { xattrs: [["trusted.l", "1"]] }), file("f", "1", { xattrs: [["trusted.f", "2"]] }))),
  },
  { what: "attributes of the root", layers: plain(tar(dir("./", { xattrs: [["user.root", "1"]] }), file("a", "1"))) },
  {
    what: "attributes as libarchive writes them",
    podman: [LIBARCHIVE, LIBARCHIVE_ALONE],
    umoci: [LIBARCHIVE, LIBARCHIVE_ALONE],
    layers: plain(
      tar(
        file("f", "1", {
          pax: [
            ["LIBARCHIVE.xattr.user.a%62", "AP8"],
            ["SCHILY.xattr.user.c", "3"],
            ["LIBARCHIVE.xattr.user.c", "Mw"],
          ],
        }),
      ),
    ),
  },
  {
    what: "access lists, as attributes",
    layers: plain(tar(file("f", "1", { mode: 0o674, xattrs: [["system.posix_acl_access", ACL]] }))),
  },
  {
    what: "attributes of users on links and fifos",
    podman: ["the kernel refuses what users state of links; it is left out here", "refuses"],
    umoci: ["the kernel refuses what users state of links; it is left out here", "refuses"],
    layers: plain(tar(symlink("l", "x", { xattrs: [["user.a", "1"]] }), fifo("p", { xattrs: [["user.a", "1"]] }))),
  },
  {
    what: "a capability that is none",
    refused: "security.capability that is no capability",
    layers: plain(tar(file("f", "1", { xattrs: [["security.capability", "\x01\0\0\x03"]] }))),
  },
  {
    what: "labels of SELinux, and an attribute twice",
    layers: plain(
      tar(
        file("f", "1", {
          xattrs: [
            ["security.selinux", "system_u:object_r:bin_t:s0\0"],
            ["user.a", "1"],
            ["user.a", "2"],
          ],
        }),
      ),
    ),
  },
  {
    what: "access lists, as star has them",
    layers: plain(tar(file("f", "1", { pax: [["SCHILY.acl.access", "user::rw-,group::r--,other::---"]] }))),
  },
  {
    what: "an upper layer changes what a file is, and takes its attributes",
    podman: ["it leaves a lower folder the attributes that its new entry does not have", ['d xattrs: {}, {"user.a":"1"}']],
    layers: plain(
      tar(dir("d/", { xattrs: [["user.a", "1"]] }), file("f", "1", { xattrs: [["user.a", "1"]] })),
      tar(dir("d/", { mode: 0o700 }), file("f", "1", { mode: 0o700 })),
    ),
  },
  {
    what: "an empty file, and one of a byte less and more than a block",
    layers: plain(tar(file("0"), file("511", "x".repeat(511)), file("513", "x".repeat(513)), file("big", Buffer.alloc(300_000, "ab")))),
  },
];
