/**
 * Layers written byte by byte, for what no program would write: every field of a header is as a row says. A character of a name, target
 * or attribute is one byte; `utf8` makes such a string of text.
 */
import { summed } from "@xenoservers/testkit";

const BLOCK = 512;

export interface Fields {
  mode?: number;
  uid?: number;
  gid?: number;
  mtime?: number;
  target?: string;
  major?: number;
  minor?: number;
  /** Of the header; as long as the data otherwise. */
  size?: number;
  data?: string | Buffer;
  /** In an extended header of its own, before this one. */
  pax?: readonly (readonly [key: string, value: string])[];
  xattrs?: readonly (readonly [name: string, value: string])[];
  /** What stands at 257: nothing of V7, POSIX's, or GNU's. */
  magic?: string;
  prefix?: string;
}

export const utf8 = (text: string): string => Buffer.from(text).toString("latin1");

export const padded = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc((BLOCK - (bytes.length % BLOCK)) % BLOCK)]);

/** Octal where it fits, else GNU's base 256. */
function put(header: Buffer, at: number, length: number, value: number): void {
  const octal = value.toString(8);
  if (value >= 0 && octal.length < length) return void header.write(`${octal.padStart(length - 1, "0")}\0`, at, "latin1");
  let left = BigInt(value);
  for (let i = at + length - 1; i >= at; i--, left >>= 8n) header[i] = Number(left & 0xffn);
  header[at] = ((header[at] ?? 0) & 0x7f) | 0x80;
}

export const POSIX = "ustar\x0000";
export const GNU = "ustar  \0";

/** A header of that type with its data, and what has to stand before it. */
export function entry(type: string, name: string, fields: Fields = {}): Buffer {
  const { mode = 0o644, uid = 0, gid = 0, mtime = 1_000_000_000, target = "", major, minor, magic = POSIX, prefix = "" } = fields;
  const { pax = [], xattrs = [] } = fields;
  const data = Buffer.from(fields.data ?? "");
  const header = Buffer.alloc(BLOCK);
  header.write(name.slice(0, 100), 0, "latin1");
  put(header, 100, 8, mode);
  put(header, 108, 8, uid);
  put(header, 116, 8, gid);
  put(header, 124, 12, fields.size ?? data.length);
  put(header, 136, 12, mtime);
  header.write(type, 156, "latin1");
  header.write(target.slice(0, 100), 157, "latin1");
  header.write(magic, 257, "latin1");
  if (major !== undefined) put(header, 329, 8, major);
  if (minor !== undefined) put(header, 337, 8, minor);
  header.write(prefix, 345, "latin1");
  const said = [...pax, ...xattrs.map(([key, value]) => [`SCHILY.xattr.${key}`, value] as const)];
  return Buffer.concat([said.length > 0 ? extended("x", ...said) : Buffer.alloc(0), summed(header), padded(data)]);
}

/** A record's length counts its own digits. */
function record(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  const digits = [1, 2, 3, 4, 5, 6, 7].find((count) => String(rest.length + count).length === count) ?? 0;
  return `${rest.length + digits}${rest}`;
}

/** An extended header: of the next entry (`x`), or of all that follow (`g`). */
export function extended(type: "x" | "g", ...pairs: (readonly [key: string, value: string])[]): Buffer {
  return entry(type, "pax", { data: Buffer.from(pairs.map(([key, value]) => record(key, value)).join(""), "latin1") });
}

/** GNU's way of a long name (`L`) or target (`K`). */
export const gnuLong = (type: "L" | "K", text: string): Buffer =>
  entry(type, "././@LongLink", { data: Buffer.from(`${text}\0`, "latin1"), magic: GNU });

export const file = (name: string, text: string | Buffer = "", fields: Fields = {}): Buffer => entry("0", name, { data: text, ...fields });
export const dir = (name: string, fields: Fields = {}): Buffer => entry("5", name, { mode: 0o755, ...fields });
export const symlink = (name: string, target: string, fields: Fields = {}): Buffer => entry("2", name, { mode: 0o777, target, ...fields });
export const hard = (name: string, target: string, fields: Fields = {}): Buffer => entry("1", name, { target, ...fields });
export const fifo = (name: string, fields: Fields = {}): Buffer => entry("6", name, fields);
export const device = (type: "3" | "4", name: string, major: number, minor: number, fields: Fields = {}): Buffer =>
  entry(type, name, { major, minor, ...fields });
/** Hides a path of lower layers. */
export const whiteout = (name: string): Buffer => file(name.replace(/[^/]*$/, ".wh.$&"));
/** Hides what lower layers have in a folder. */
export const opaque = (folder: string): Buffer => file(`${folder}.wh..wh..opq`);

export const END = Buffer.alloc(2 * BLOCK);
export const tar = (...parts: readonly Buffer[]): Buffer => Buffer.concat([...parts, END]);
