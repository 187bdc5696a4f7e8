/** Headers of a tar archive as `sqfstar` reads them (POSIX pax, with attributes as `SCHILY.xattr`). A character of a name is one byte. */

const BLOCK = 512;
const NAME_BYTES = 100;
/** Of what is not known to fit into a header's octal fields. */
const OCTAL_MAX = 0o7777777;
const SIZE_MAX = 0o77777777777;

export interface TarHeader {
  name: string;
  /** As in the header: 0 file, 1 hard link, 2 link, 3 character device, 4 block device, 5 folder, 6 fifo. */
  type: "0" | "1" | "2" | "3" | "4" | "5" | "6";
  mode: number;
  uid: number;
  gid: number;
  mtime: number;
  target: string;
  major: number;
  minor: number;
  size: number;
  xattrs: readonly (readonly [string, string])[];
}

export const padding = (size: number): number => (BLOCK - (size % BLOCK)) % BLOCK;

const octal = (value: number, length: number): string => `${value.toString(8).padStart(length - 1, "0")}\0`;

function block({
  name,
  type,
  mode,
  uid,
  gid,
  mtime,
  target,
  major,
  minor,
  size,
}: Omit<TarHeader, "type" | "xattrs"> & { type: string }): Buffer {
  const header = Buffer.alloc(BLOCK);
  header.write(name.slice(0, NAME_BYTES), 0, "latin1");
  header.write(octal(mode, 8) + octal(Math.min(uid, OCTAL_MAX), 8) + octal(Math.min(gid, OCTAL_MAX), 8), 100, "latin1");
  header.write(octal(Math.min(size, SIZE_MAX), 12) + octal(mtime, 12) + " ".repeat(8) + type, 124, "latin1");
  header.write(target.slice(0, NAME_BYTES), 157, "latin1");
  header.write("ustar\x0000", 257, "latin1");
  header.write(octal(major, 8) + octal(minor, 8), 329, "latin1");
  const sum = header.reduce((all, byte) => all + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return header;
}

/** The record's length counts its own digits. */
function record(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length + String(rest.length).length;
  if (String(length).length > String(rest.length).length) length = rest.length + String(length).length;
  return `${length}${rest}`;
}

const NOTHING = { uid: 0, gid: 0, mtime: 0, target: "", major: 0, minor: 0, mode: 0o644 };

function special(type: "x" | "K", name: string, text: string): Buffer {
  return Buffer.concat([
    block({ ...NOTHING, name, type, size: text.length }),
    Buffer.from(text, "latin1"),
    Buffer.alloc(padding(text.length)),
  ]);
}

/**
 * What stands before an entry's data; the data is followed by `padding`. `sqfstar` takes a long target as a name where pax states it, and
 * drops the slash or the dots that it begins with; of a link it is therefore stated in GNU's way.
 */
export function tarHeader(entry: TarHeader): Buffer {
  const { name, target, type, uid, gid, size, xattrs } = entry;
  const isLong = target.length > NAME_BYTES;
  const said = [
    ...(name.length > NAME_BYTES ? [record("path", name)] : []),
    ...(isLong && type !== "2" ? [record("linkpath", target)] : []),
    ...(uid > OCTAL_MAX ? [record("uid", String(uid))] : []),
    ...(gid > OCTAL_MAX ? [record("gid", String(gid))] : []),
    ...(size > SIZE_MAX ? [record("size", String(size))] : []),
    ...xattrs.map(([key, value]) => record(`SCHILY.xattr.${key}`, value)),
  ].join("");
  return Buffer.concat([
    ...(isLong && type === "2" ? [special("K", "././@LongLink", `${target}\0`)] : []),
    ...(said === "" ? [] : [special("x", "pax", said)]),
    block(entry),
  ]);
}

export const TAR_END = Buffer.alloc(2 * BLOCK);
