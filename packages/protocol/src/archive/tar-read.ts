/**
 * What a tar archive holds, read by its headers: V7, ustar, pax, GNU (long names, sparse files) and star, as GNU tar, bsdtar and Go's
 * archive/tar write them (POSIX pax; tar(5) of libarchive). Data is not read, only found, so that no entry can keep its reader waiting.
 * Names and attributes keep their bytes: a character here is one byte. Who controls the inputs: the customer, a guest, whoever made an
 * image: every byte.
 */
import { latin1 } from "./byte-text.ts";
import { TarDamage, shown } from "./damage.ts";
import { DIGITS_MAX, nothingSaid, sparseForm, statedId, statedTime, take, whole, type Said } from "./said.ts";

export { TarDamage, shown };

type TarKind = "file" | "link" | "symlink" | "character" | "block" | "directory" | "fifo";

/** A piece of a file: `length` bytes that lie at `from` in the archive and belong at `at` in the file; what no piece covers is zeros. */
export interface Piece {
  at: number;
  from: number;
  length: number;
}

export interface TarEntry {
  name: string;
  kind: TarKind;
  mode: number;
  uid: number;
  gid: number;
  mtime: number;
  /** Of links. */
  target: string;
  major: number;
  minor: number;
  /** Of a file, holes included. */
  size: number;
  pieces: Piece[];
  xattrs: [name: string, value: string][];
}

/** Where an archive lies: an open file of Node's, or what a page holds. */
export interface ArchiveBytes {
  /** Into `bytes` from `at` on, at most `length`, which lie at `position`; none are read behind its end. */
  read(bytes: Uint8Array, at: number, length: number, position: number): Promise<{ bytesRead: number }>;
}

const BLOCK = 512;
const WINDOW_BYTES = 1024 * 1024;
/** As Go's reader, which container engines use, bounds a long name or extended header; here all those before one entry together. */
const SPECIAL_BYTES_MAX = 1024 * 1024;
/** Headers before one entry; programs write at most three, of which an archive that was made of another keeps some. */
const SPECIAL_COUNT_MAX = 16;
const SPARSE_PIECES_MAX = 100_000;
/** Headers that say something of the entry behind them, of the archive, or nothing. */
const SPECIALS = ["L", "K", "x", "X", "g", "V"];

const damaged = (why: string): TarDamage => new TarDamage(why);
const tooManyPieces = (): TarDamage => damaged(`a sparse file has more than ${SPARSE_PIECES_MAX} pieces`);
/** Reads a file in large pieces, from any place on. */
class Window {
  readonly #file: ArchiveBytes;
  readonly size: number;
  #start = 0;
  #bytes: Uint8Array = new Uint8Array(0);

  constructor(file: ArchiveBytes, size: number) {
    this.#file = file;
    this.size = size;
  }

  /** Exactly so many bytes; they are good until the next call. Throws where the archive ends before. */
  async at(offset: number, length: number): Promise<Uint8Array> {
    const from = offset - this.#start;
    if (from >= 0 && from + length <= this.#bytes.length) return this.#bytes.subarray(from, from + length);
    if (offset + length > this.size) throw damaged("it is cut off");
    const wanted = new Uint8Array(Math.min(Math.max(length, WINDOW_BYTES), this.size - offset));
    let got = 0;
    while (got < wanted.length) {
      const { bytesRead } = await this.#file.read(wanted, got, wanted.length - got, offset + got);
      if (bytesRead === 0) throw new Error("an archive became shorter while it was read");
      got += bytesRead;
    }
    this.#start = offset;
    this.#bytes = wanted;
    return wanted.subarray(0, length);
  }
}

const byteAt = (bytes: Uint8Array, at: number): number => bytes[at] ?? 0;
const isZeros = (block: Uint8Array): boolean => block.every((byte) => byte === 0);

function text(header: Uint8Array, from: number, length: number): string {
  const field = header.subarray(from, from + length);
  const end = field.indexOf(0);
  return latin1(field, 0, end < 0 ? length : end);
}

/** Octal, or GNU's base 256. */
function number(header: Uint8Array, from: number, length: number, what: string): number {
  const first = byteAt(header, from);
  if (first & 0x80) {
    let value = first & 0x40 ? -1n : 0n;
    value = (value << 6n) | BigInt(first & 0x3f);
    for (let i = 1; i < length; i++) value = (value << 8n) | BigInt(byteAt(header, from + i));
    if (value > BigInt(Number.MAX_SAFE_INTEGER) || value < -BigInt(Number.MAX_SAFE_INTEGER))
      throw damaged(`an entry's ${what} makes no sense`);
    return Number(value);
  }
  const digits = text(header, from, length).trim();
  if (digits === "") return 0;
  if (!/^[0-7]+$/.test(digits)) throw damaged(`an entry's ${what} is no number`);
  return Number.parseInt(digits, 8);
}

/** A number of bytes: base 256 can say less than none, which would make room for others. */
function amount(header: Uint8Array, from: number, length: number, what: string): number {
  const value = number(header, from, length, what);
  if (value < 0) throw damaged(`an entry's ${what} is below zero`);
  return value;
}

/** The sum is of unsigned bytes; old programs took signed ones. */
function sumIsRight(header: Uint8Array): boolean {
  const said = number(header, 148, 8, "checksum");
  let unsigned = 0;
  let signed = 0;
  for (let i = 0; i < BLOCK; i++) {
    const byte = i >= 148 && i < 156 ? 32 : (header[i] ?? 0);
    unsigned += byte;
    signed += byte < 128 ? byte : byte - 256;
  }
  return said === unsigned || said === signed;
}

/** Whether bytes may begin an archive, by their first block; an archive of nothing has none. */
export function beginsArchive(start: Uint8Array): boolean {
  if (start.length === 0) return true;
  if (start.length < BLOCK) return false;
  const header = start.subarray(0, BLOCK);
  try {
    return isZeros(header) || sumIsRight(header);
  } catch (error) {
    if (error instanceof TarDamage) return false;
    throw error;
  }
}

const KINDS: Readonly<Record<string, TarKind>> = {
  "\0": "file",
  "0": "file",
  "1": "link",
  "2": "symlink",
  "3": "character",
  "4": "block",
  "5": "directory",
  "6": "fifo",
  "7": "file",
  D: "directory",
  S: "file",
};

/** Pieces as offsets and lengths in the file, one after the other in the archive from `from` on. */
function pieces(map: readonly number[], from: number, stored: number, size: number): Piece[] {
  if (map.length > 2 * SPARSE_PIECES_MAX) throw tooManyPieces();
  if (map.length % 2 !== 0) throw damaged("the map of a sparse file makes no sense");
  const found: Piece[] = [];
  let end = 0;
  let sum = 0;
  for (let i = 0; i < map.length; i += 2) {
    const [at = 0, length = 0] = map.slice(i, i + 2);
    if (at < end || at + length > size) throw damaged("the map of a sparse file makes no sense");
    if (length > 0) found.push({ at, from: from + sum, length });
    end = at + length;
    sum += length;
  }
  if (sum !== stored) throw damaged("the map of a sparse file does not fit its data");
  return found;
}

const padded = (size: number): number => Math.ceil(size / BLOCK) * BLOCK;

interface Raw {
  header: Uint8Array;
  type: string;
  /** Of the data that follows the header. */
  size: number;
  /** Where the data begins. */
  data: number;
}

/** GNU's old form: four pieces in the header, more in blocks that follow it. */
async function oldSparse(window: Window, raw: Raw): Promise<{ size: number; pieces: Piece[]; next: number }> {
  const map: number[] = [];
  const add = (block: Uint8Array, count: number, from: number): void => {
    for (let i = 0; i < count && byteAt(block, from + 24 * i + 12) !== 0; i++)
      map.push(amount(block, from + 24 * i, 12, "map"), amount(block, from + 24 * i + 12, 12, "map"));
  };
  add(raw.header, 4, 386);
  const size = amount(raw.header, 483, 12, "size");
  let at = raw.data;
  for (let more = byteAt(raw.header, 482) !== 0; more; at += BLOCK) {
    const block = await window.at(at, BLOCK);
    add(block, 21, 0);
    more = byteAt(block, 504) !== 0;
    if (map.length > 2 * SPARSE_PIECES_MAX) throw tooManyPieces();
  }
  return { size, pieces: pieces(map, at, raw.size, size), next: at + padded(raw.size) };
}

/** GNU's form 1.0: the map stands before the data, as decimal numbers in lines. */
async function mapInData(window: Window, raw: Raw): Promise<{ map: number[]; bytes: number }> {
  const map: number[] = [];
  let line = "";
  let wanted = -1;
  for (let at = raw.data; at < raw.data + raw.size; at += BLOCK) {
    for (const byte of await window.at(at, BLOCK)) {
      if (byte !== 10) {
        if (line.length === DIGITS_MAX) throw damaged("the map of a sparse file makes no sense");
        line += String.fromCharCode(byte);
        continue;
      }
      if (wanted < 0) wanted = 2 * whole(line);
      else map.push(whole(line));
      line = "";
      if (wanted > 2 * SPARSE_PIECES_MAX) throw tooManyPieces();
      if (map.length === wanted) return { map, bytes: at + BLOCK - raw.data };
    }
  }
  throw damaged("the map of a sparse file is cut off");
}

/** As the header says it: in one record, or number by number (GNU's first form). */
function mapInHeader({ pax, sparse }: Said): number[] {
  const text = pax.get("GNU.sparse.map") ?? "";
  const map = sparse.length > 0 ? sparse : text === "" ? [] : text.split(",").map(whole);
  if (map.length !== 2 * whole(pax.get("GNU.sparse.numblocks") ?? "")) throw damaged("the map of a sparse file makes no sense");
  return map;
}

async function fileOf(window: Window, raw: Raw, said: Said): Promise<{ size: number; pieces: Piece[]; next: number }> {
  const next = raw.data + padded(raw.size);
  if (raw.type === "S") return oldSparse(window, raw);
  const form = sparseForm(said);
  if (form === null) return { size: raw.size, pieces: raw.size === 0 ? [] : [{ at: 0, from: raw.data, length: raw.size }], next };
  const real = said.pax.get("GNU.sparse.size") || said.pax.get("GNU.sparse.realsize");
  const size = real === undefined ? raw.size : whole(real);
  const { map, bytes } = form === "in the data" ? await mapInData(window, raw) : { map: mapInHeader(said), bytes: 0 };
  return { size, pieces: pieces(map, raw.data + bytes, raw.size - bytes, size), next };
}

const isOctal = (header: Uint8Array, from: number): boolean => /^[0-7 ]*$/.test(text(header, from, 12));

/**
 * What stands before the name: POSIX's prefix; star's is shorter. GNU has times there, which Go's archive/tar overwrote with a prefix until
 * 2016, and reads as one where they are no times.
 */
function prefixIn(header: Uint8Array): string {
  const magic = latin1(header, 257, 263);
  if (magic === "ustar\0") return text(header, 345, latin1(header, 508, 512) === "tar\0" ? 131 : 155);
  if (magic !== "ustar " || byteAt(header, 345) >= 0x80 || (isOctal(header, 345) && isOctal(header, 357))) return "";
  const prefix = text(header, 345, 155);
  return /^\p{ASCII}*$/u.test(prefix) ? prefix : "";
}

/** The name as far as it stands in the header itself. */
function nameIn(header: Uint8Array): string {
  const prefix = prefixIn(header);
  return prefix === "" ? text(header, 0, 100) : `${prefix}/${text(header, 0, 100)}`;
}

async function entryOf(window: Window, raw: Raw, said: Said): Promise<{ entry: TarEntry; next: number }> {
  const { header, type } = raw;
  const { pax } = said;
  // GNU's long names count before pax's, as in Go's reader: what one program scans, another must not see under another name. A file of its
  // oldest sparse form has its map in the header, and nothing that pax says of another form is its own
  const form = type === "S" ? null : sparseForm(said);
  const name = (form !== null && pax.get("GNU.sparse.name")) || said.path || pax.get("path") || nameIn(header);
  const found = KINDS[type];
  if (found === undefined) throw damaged(`it holds an entry of the kind '${shown(type)}', which is not known here: ${shown(name)}`);
  // V7 knows folders by their names alone
  const kind = type === "\0" && name.endsWith("/") ? "directory" : found;
  if (form !== null && kind !== "file") throw damaged(`${shown(name)} is sparse, and no file`);
  // of other entries the size is a hint, or that of the file that a link leads to; only GNU's listing of a folder has data
  const data =
    kind === "file" ? await fileOf(window, raw, said) : { size: 0, pieces: [], next: raw.data + (type === "D" ? padded(raw.size) : 0) };
  const isDevice = kind === "character" || kind === "block";
  const entry: TarEntry = {
    ...{ name, kind, size: data.size, pieces: data.pieces, xattrs: [...said.xattrs] },
    mode: number(header, 100, 8, "mode") & 0o7777,
    uid: statedId(pax.get("uid"), number(header, 108, 8, "owner")),
    gid: statedId(pax.get("gid"), number(header, 116, 8, "group")),
    mtime: statedTime(pax.get("mtime"), number(header, 136, 12, "time")),
    target: kind === "link" || kind === "symlink" ? said.link || pax.get("linkpath") || text(header, 157, 100) : "",
    major: isDevice ? number(header, 329, 8, "device") : 0,
    minor: isDevice ? number(header, 337, 8, "device") : 0,
  };
  return { entry, next: data.next };
}

/** Two blocks of zeros end an archive, or one where nothing follows: what hides behind one alone would be there for some programs only. */
async function endsAt(window: Window, at: number): Promise<void> {
  if (at < window.size && !isZeros(await window.at(at, BLOCK))) throw damaged("a lone block of zeros stands amid its entries");
}

/** Every entry, in the archive's order. Throws TarDamage where the archive is none. */
export async function* readTar(file: ArchiveBytes, size: number): AsyncGenerator<TarEntry> {
  const window = new Window(file, size);
  let said = nothingSaid();
  for (let at = 0; at < size;) {
    const header = (await window.at(at, BLOCK)).slice();
    if (isZeros(header)) return endsAt(window, at + BLOCK);
    if (!sumIsRight(header)) throw damaged("an entry's checksum is wrong");
    const type = latin1(header, 156, 157);
    const isSpecial = SPECIALS.includes(type);
    // a size that was said is the entry's: who takes it for another header's loses its place, and sees files that nobody else does
    const stored = isSpecial ? undefined : said.pax.get("size");
    const raw: Raw = { header, type, size: stored === undefined ? amount(header, 124, 12, "size") : whole(stored), data: at + BLOCK };
    if (isSpecial) {
      said.bytes += raw.size;
      said.headers += 1;
      if (said.bytes > SPECIAL_BYTES_MAX) throw damaged(`the headers before an entry are larger than ${SPECIAL_BYTES_MAX} bytes together`);
      if (said.headers > SPECIAL_COUNT_MAX) throw damaged(`more than ${SPECIAL_COUNT_MAX} headers stand before an entry`);
      const bytes = (await window.at(raw.data, raw.size)).slice();
      if (type === "L") said.path = text(bytes, 0, bytes.length);
      else if (type === "K") said.link = text(bytes, 0, bytes.length);
      // what is said of the whole archive (g) or is its label (V) says nothing of files
      else if (type === "x" || type === "X") take(said, bytes);
      at = raw.data + padded(raw.size);
      continue;
    }
    const { entry, next } = await entryOf(window, raw, said);
    if (next > padded(size)) throw damaged("it is cut off");
    for (const { from, length } of entry.pieces) if (from + length > size) throw damaged("it is cut off");
    yield entry;
    said = nothingSaid();
    at = next;
  }
}
