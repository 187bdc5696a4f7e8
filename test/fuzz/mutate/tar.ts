/** Tar archives bent by their headers: fields, kinds and extended records exchanged, checksums made right again, entries cut and moved. */
import type { Random } from "../../../packages/testkit/src/random.ts";
import { bentBytes, bentOnce } from "./bytes.ts";
import { bentText } from "./text.ts";

const BLOCK = 512;
/** Offset and length of each field of a header. */
const FIELDS = [
  ...[[0, 100], [100, 8], [108, 8], [116, 8], [124, 12], [136, 12], [156, 1], [157, 100], [257, 8], [329, 8], [337, 8], [345, 155]],
  ...[[386, 12], [398, 12], [482, 1], [483, 12]],
] as const; // prettier-ignore
const NUMBERS = ["0", "7", "00000000000", "77777777777", "-1", " 12 ", "8", "0x1", "777777777777", "1e3"];
const KINDS = ["\0", "0", "1", "2", "3", "4", "5", "6", "7", "D", "S", "L", "K", "x", "X", "g", "V", "A", "N", "\xff"];
const KEYS = [
  ...["path", "linkpath", "size", "uid", "gid", "mtime", "GNU.sparse.major", "GNU.sparse.minor", "GNU.sparse.name", "GNU.sparse.map"],
  ...["GNU.sparse.realsize", "GNU.sparse.size", "GNU.sparse.offset", "GNU.sparse.numbytes", "SCHILY.xattr.user.a", "LIBARCHIVE.xattr.a%2"],
  "hdrcharset",
];
const VALUES = [
  "",
  "0",
  "1",
  "-1",
  "1.5",
  "9007199254740993",
  "99999999999999999999",
  "0,0",
  "0,1,2",
  "../x",
  "a/".repeat(200),
  "\0",
  "nan",
];

/** Where the headers begin, as far as the chain of sizes leads. */
function headersOf(archive: Uint8Array): number[] {
  const found: number[] = [];
  const bytes = Buffer.from(archive.buffer, archive.byteOffset, archive.length);
  for (let at = 0; at + BLOCK <= bytes.length && bytes[at] !== 0;) {
    found.push(at);
    const size = Number.parseInt(bytes.toString("latin1", at + 124, at + 136), 8);
    at += BLOCK + (Number.isFinite(size) && size > 0 ? Math.ceil(size / BLOCK) * BLOCK : 0);
  }
  return found;
}

function sumUp(header: Uint8Array): void {
  header.fill(32, 148, 156);
  const sum = header.subarray(0, BLOCK).reduce((all, byte) => all + byte, 0);
  header.set(Buffer.from(`${sum.toString(8).padStart(6, "0")}\0 `), 148);
}

function bendHeader(header: Uint8Array, random: Random, others: readonly Uint8Array[]): void {
  const [at, length] = random.pick(FIELDS);
  const field = header.subarray(at, at + length);
  if (at === 156) field.set(Buffer.from(random.pick(KINDS), "latin1"));
  else if (length === 8 || length === 12) {
    if (random.chance(0.3)) {
      field.fill(random.pick([0, 0xff]));
      field[0] = random.pick([0x80, 0xff, 0xc0]);
      field[length - 1] = random.between(0, 255);
    } else {
      field.fill(0);
      field.set(Buffer.from(random.pick(NUMBERS)).subarray(0, length));
    }
  } else {
    const bent = random.chance(0.5)
      ? Buffer.from(bentText(Buffer.from(field).toString("latin1").replace(/\0.*/s, ""), random), "latin1")
      : bentOnce(field.slice(), random, others);
    field.fill(0);
    field.set(bent.subarray(0, length));
  }
}

const record = (key: string, value: string): Buffer => {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.from(`${length}${rest}`, "latin1");
};

/** An extended header with its records, to stand before an entry. */
function extended(random: Random): Uint8Array {
  const records = Array.from({ length: random.between(1, 4) }, () => record(random.pick(KEYS), random.pick(VALUES)));
  let body = Buffer.concat(records);
  if (random.chance(0.2)) body = Buffer.from(bentOnce(new Uint8Array(body), random, [new Uint8Array(body)]));
  const header = Buffer.alloc(BLOCK);
  header.write("PaxHeaders/x");
  header.write("0000644\0", 100);
  header.write(`${body.length.toString(8).padStart(11, "0")}\0`, 124);
  header.write(random.chance(0.8) ? "x" : random.pick(["g", "X", "L", "K"]), 156);
  header.write("ustar\u000000", 257, "latin1");
  sumUp(header);
  return new Uint8Array(Buffer.concat([header, body, Buffer.alloc((BLOCK - (body.length % BLOCK)) % BLOCK)]));
}

export function bentTar(input: Uint8Array, random: Random, others: readonly Uint8Array[]): Uint8Array {
  let archive = input;
  for (let left = random.between(1, 4); left > 0; left--) {
    const headers = headersOf(archive);
    if (headers.length === 0) return bentBytes(archive, random, others);
    const at = random.pick(headers);
    switch (random.between(0, 6)) {
      case 0:
        archive = new Uint8Array(Buffer.concat([archive.subarray(0, at), extended(random), archive.subarray(at)]));
        break;
      case 1: {
        const to = random.pick([...headers, archive.length]);
        const entry = archive.subarray(Math.min(at, to), Math.max(at, to));
        archive = new Uint8Array(Buffer.concat([archive.subarray(0, at), entry, archive.subarray(at)]));
        break;
      }
      case 2: {
        const other = random.pick(others);
        const from = random.pick([...headersOf(other), 0]);
        archive = new Uint8Array(Buffer.concat([archive.subarray(0, at), other.subarray(from, from + 4_096), archive.subarray(at)]));
        break;
      }
      case 3:
        archive = bentOnce(archive, random, others);
        break;
      default: {
        const header = archive.subarray(at, at + BLOCK);
        bendHeader(header, random, others);
        if (random.chance(0.95)) sumUp(header);
      }
    }
    if (archive.length > 1 << 20) archive = archive.subarray(0, 1 << 20);
  }
  return archive.slice();
}
