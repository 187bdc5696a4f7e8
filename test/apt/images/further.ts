/** More of what careless and odd programs write, found by looking for differences: in these there are none but where a row says so. */
import { END, GNU, device, dir, entry, extended, fifo, file, gnuLong, hard, opaque, symlink, tar, utf8, whiteout } from "./entries.ts";
import { plain, type Row } from "./row.ts";

/** To POSIX (pax, "Extended Header") it is the next file's. */
const GO_FORGETS = "Go's reader forgets an entry's own header at one for all";
const base = tar(dir("a/"), file("a/b", "b"), file("a/c", "c"), dir("a/d/"), file("a/d/e", "e"), file("top", "t"));

/** With text at a place of its header, and the sum of that. */
function withField(bytes: Buffer, at: number, text: string, signed = false): Buffer {
  const header = Buffer.from(bytes);
  header.write(text, at, "latin1");
  header.fill(" ", 148, 156);
  let sum = 0;
  for (let i = 0; i < 512; i++) sum += signed ? header.readInt8(i) : header.readUInt8(i);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return header;
}

export const FURTHER: readonly Row[] = [
  {
    what: "a folder is hidden, and made again by the third layer",
    layers: plain(base, tar(whiteout("a")), tar(dir("a/"), file("a/x", "x"), hard("a/b", "a/x"))),
  },
  { what: "a hard link into a lower layer, whose file is then replaced", layers: plain(base, tar(hard("h", "top"), file("top", "new"))) },
  { what: "a file is replaced, then linked", layers: plain(base, tar(file("top", "new"), hard("h", "top"))) },
  { what: "opaque at two depths", layers: plain(base, tar(dir("a/"), opaque("a/"), dir("a/d/"), opaque("a/d/"), file("a/d/n", "n"))) },
  { what: "opaque below a folder that is stated again", layers: plain(base, tar(dir("a/", { mode: 0o700 }), dir("a/d/"), opaque("a/d/"))) },
  { what: "a file becomes an opaque folder", layers: plain(base, tar(dir("top/"), opaque("top/"), file("top/x", "x"))) },
  {
    what: "files through a link of the same layer",
    layers: plain(tar(dir("t/"), symlink("l", "t"), file("l/x", "x"), dir("l/y/"), file("l/y/z", "z"))),
  },
  { what: "a link of the same layer whose folder comes after it", layers: plain(tar(symlink("l", "t"), dir("t/"), file("l/x", "x"))) },
  {
    what: "names that differ in the case of a letter",
    layers: plain(tar(file("A", "1"), file("a", "2"), dir("Dir/"), dir("dir/"), file("dir/x", "x")), tar(whiteout("A"))),
  },
  {
    what: "a header for all that follows between an entry's own and the entry",
    podman: [GO_FORGETS, ["f owner: 8:0, 0:0"]],
    umoci: ["it knows no global headers", "refuses"],
    layers: plain(tar(extended("x", ["uid", "8"]), extended("g", ["comment", "c"]), file("f", "1"))),
  },
  { what: "a link that states a size", layers: plain(tar(symlink("l", "t", { size: 5 }), file("after", "x"))) },
  { what: "a folder that states a size", layers: plain(tar(dir("d/", { size: 4096 }), file("after", "x"))) },
  { what: "a fifo that states a size", layers: plain(tar(fifo("d", { size: 4096 }), file("after", "x"))) },
  { what: "a device that states a size", layers: plain(tar(device("3", "d", 1, 3, { size: 600 }), file("after", "x"))) },
  { what: "a folder without a slash", layers: plain(tar(dir("d"), file("d/f", "x"))) },
  { what: "a link whose own name ends with a slash", layers: plain(tar(dir("t/"), symlink("l/", "t"))) },
  { what: "a name of 100 bytes, which no zero ends", layers: plain(tar(file("n".repeat(100), "1"))) },
  { what: "a prefix of 155 bytes and a name of 100", layers: plain(tar(file("n".repeat(100), "1", { prefix: "p".repeat(155) }))) },
  { what: "a name of 254 bytes in 127 letters", layers: plain(tar(file("f", "1", { pax: [["path", utf8("ä".repeat(127))]] }))) },
  { what: "a sum of signed bytes", layers: plain(Buffer.concat([withField(file(utf8("ä"), ""), 0, "", true), END])) },
  {
    what: "numbers with spaces, of spaces and of zeros",
    layers: plain(
      Buffer.concat([
        withField(file("f", ""), 108, "   17 \0"),
        withField(file("g", ""), 108, "       \0"),
        withField(file("h", ""), 108, "\0\0\0\0\0\0\0\0"),
        END,
      ]),
    ),
  },
  { what: "a size of twelve digits", layers: plain(Buffer.concat([withField(file("f", ""), 124, "000000000000"), END])) },
  {
    what: "devices of large numbers",
    layers: plain(tar(device("4", "d", 8, 300), device("3", "e", 511, 1048575), device("3", "g", 300, 70000))),
  },
  { what: "a whiteout behind a dot", layers: plain(base, tar(whiteout("./top"))) },
  { what: "a whiteout from the root", layers: plain(base, tar(file("/.wh.top"))) },
  { what: "whiteouts behind two slashes and a dot", layers: plain(base, tar(file("a//.wh.b"), file("a/./.wh.c"))) },
  { what: "a whiteout through two dots", layers: plain(base, tar(file("a/../.wh.top"))) },
  { what: "opaque by a folder", layers: plain(base, tar(dir("a/"), dir("a/.wh..wh..opq/"))) },
  { what: "opaque by a link", layers: plain(base, tar(dir("a/"), symlink("a/.wh..wh..opq", "x"))) },
  { what: "a name longer than opaque's", layers: plain(base, tar(dir("a/"), file("a/.wh..wh..opqx", "x"))) },
  { what: "a note of AUFS in a folder", layers: plain(base, tar(dir("a/"), file("a/.wh..wh.foo", "x"))) },
  { what: "a whiteout with data", layers: plain(base, tar(file("a/.wh.b", "data".repeat(200)), file("z", "z"))) },
  { what: "a whiteout that is a device", layers: plain(base, tar(device("3", "a/.wh.b", 0, 0))) },
  { what: "a whiteout in capitals", layers: plain(base, tar(file("a/.WH.b"))) },
  { what: "a target with a new line that is not UTF-8", layers: plain(tar(symlink("l", "a\n\xff\xfe b"))) },
  { what: "a hard link's target with a slash behind it", layers: plain(tar(file("a", "1"), hard("l", "a/"))) },
  {
    what: "a hard link to a link through a link",
    layers: plain(tar(dir("d/"), symlink("d/s", "../x"), symlink("e", "d"), hard("h", "e/s"))),
  },
  { what: "an attribute whose name has an equals sign", layers: plain(tar(file("f", "1", { xattrs: [["user.a=b", "v"]] }))) },
  { what: "an attribute of no class", layers: plain(tar(file("f", "1", { xattrs: [["foo.bar", "v"]] }))) },
  { what: "an attribute's name of 255 bytes", layers: plain(tar(file("f", "1", { xattrs: [[`user.${"n".repeat(250)}`, "v"]] }))) },
  { what: "an attribute without a value", layers: plain(tar(file("f", "1", { xattrs: [["user.e", ""]] }))) },
  {
    what: "an overlay's own mark of opaque",
    layers: plain(base, tar(dir("a/", { xattrs: [["trusted.overlay.opaque", "y"]] }), file("a/n", "n"))),
  },
  { what: "a user's mark of opaque", layers: plain(base, tar(dir("a/", { xattrs: [["user.overlay.opaque", "y"]] }), file("a/n", "n"))) },
  {
    what: "an overlay's own mark of another place",
    layers: plain(base, tar(dir("z/", { xattrs: [["trusted.overlay.redirect", "/a"]] }), file("z/n", "n"))),
  },
  {
    what: "an overlay's own mark of a file without data",
    layers: plain(
      base,
      tar(
        file("top", "", {
          xattrs: [
            ["trusted.overlay.metacopy", ""],
            ["trusted.overlay.redirect", "/a/b"],
          ],
        }),
      ),
    ),
  },
  {
    what: "what measures files (IMA, EVM)",
    layers: plain(
      tar(
        file("f", "1", {
          xattrs: [
            ["security.ima", "\x01\x02"],
            ["security.evm", "\x02"],
          ],
        }),
      ),
    ),
  },
  {
    what: "a capability of a folder",
    layers: plain(tar(dir("d/", { xattrs: [["security.capability", "\x01\0\0\x02\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"]] }))),
  },
  {
    what: "a capability of version 3",
    layers: plain(tar(file("d", "", { xattrs: [["security.capability", "\x01\0\0\x03\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"]] }))),
  },
  { what: "an extended header of 900 kB", layers: plain(tar(extended("x", ["comment", "c".repeat(900_000)]), file("f", "1"))) },
  { what: "an extended header with nothing behind it", layers: plain(Buffer.concat([file("a", "1"), extended("x", ["path", "q"])])) },
  { what: "a long name with nothing behind it", layers: plain(Buffer.concat([file("a", "1"), gnuLong("L", "long")])) },
  { what: "an extended header before the end", layers: plain(tar(file("a", "1"), extended("x", ["path", "q"]))) },
  { what: "GNU's folder by its name alone", layers: plain(tar(entry("\0", "sp/", { magic: GNU }), file("sp/f", "1"))) },
  {
    what: "files where devices and processes will be",
    layers: plain(tar(dir("dev/"), file("dev/null", ""), dir("proc/"), file("proc/x", "1"), symlink("etc", "usr/etc"), dir("usr/etc/"))),
  },
  {
    what: "a folder after what is in it, with a mode",
    layers: plain(tar(file("d/f", "1"), dir("d/", { mode: 0o500, uid: 5, mtime: 77 }))),
  },
  {
    what: "a file in a folder that only a lower layer states",
    layers: plain(tar(dir("d/", { mode: 0o700, uid: 9, mtime: 5 }), file("d/f")), tar(file("d/g"))),
  },
  {
    what: "the root stated by two layers",
    layers: plain(tar(dir("./", { mode: 0o755, uid: 1 })), tar(dir("./", { mode: 0o700, uid: 2, mtime: 44 }), file("f"))),
  },
  { what: "the root as a dot", layers: plain(tar(entry("5", ".", { mode: 0o711 }), file("f"))) },
  { what: "the root as a slash", layers: plain(tar(entry("5", "/", { mode: 0o711 }), file("f"))) },
  { what: "an overlay's own mark of the root", layers: plain(tar(dir("./", { xattrs: [["trusted.overlay.opaque", "y"]] }), file("f"))) },
  {
    what: "a folder, a link and a folder in turn",
    layers: plain(
      base,
      tar(whiteout("a/d"), symlink("a/d", "../top")),
      tar(whiteout("a/d"), dir("a/d/"), file("a/d/z", "z")),
      tar(file("a/d/y", "y")),
    ),
  },
  { what: "a hard link to a device", layers: plain(tar(device("3", "d", 1, 3), hard("e", "d"))) },
  {
    what: "names of one file over three layers",
    layers: plain(tar(file("a", "1"), hard("b", "a")), tar(hard("c", "b")), tar(whiteout("a"), hard("d", "c"))),
  },
  {
    what: "a hole before the only data",
    layers: plain(
      tar(
        file("s", "abc", {
          pax: [
            ["GNU.sparse.size", "100"],
            ["GNU.sparse.numblocks", "1"],
            ["GNU.sparse.map", "90,3"],
          ],
        }),
      ),
    ),
  },
  {
    what: "control characters and spaces in names",
    layers: plain(tar(file("a\x01\x1b[31mb", "1"), file("tab\t \\ \"'", "2"), file(" lead", "3"), file("trail ", "4"))),
  },
  {
    what: "bits of folders and files",
    layers: plain(tar(dir("d/", { mode: 0o6755 }), file("f", "", { mode: 0o1644 }), file("g", "", { mode: 0o7777 }))),
  },
  {
    what: "modes of another kind",
    layers: plain(tar(entry("0", "f", { mode: 0o40755, data: "x" }), dir("d/", { mode: 0o100644 }))),
  },
  {
    what: "what fills a block is not zeros",
    layers: plain(tar(Buffer.concat([file("f", "abc").fill(0x41, 515, 1024)]), file("g", "x"))),
  },
];
