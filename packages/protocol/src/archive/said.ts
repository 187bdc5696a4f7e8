/**
 * What the headers before an entry say of it (POSIX pax, with the keys of GNU, star and libarchive), as Go's archive/tar takes them. Who
 * controls the inputs: whoever made the archive, every byte.
 */
import { latin1, textOfBase64 } from "./byte-text.ts";
import { TarDamage } from "./damage.ts";

const damaged = (why: string): TarDamage => new TarDamage(why);
const noNumber = (): TarDamage => damaged("an extended header holds something that is no number");

/** Names, of which none holds a zero; of everything else a key holds none. */
const NAMES: ReadonlySet<string> = new Set(["path", "linkpath", "uname", "gname"]);

/** `LENGTH KEY=VALUE\n` each. Keys may come more than once (GNU's first form of sparse files). */
function records(bytes: Uint8Array): [key: string, value: string][] {
  const found: [string, string][] = [];
  for (let at = 0; at < bytes.length;) {
    const space = bytes.indexOf(32, at);
    const digits = latin1(bytes, at, Math.max(at, space));
    const length = /^\+?\d{1,10}$/.test(digits) ? Number(digits) : Number.NaN;
    const equals = bytes.indexOf(61, space + 1);
    const end = at + length - 1;
    if (!(end < bytes.length) || equals < 0 || equals > end || bytes[end] !== 10) throw damaged("an extended header makes no sense");
    const [key, value] = [latin1(bytes, space + 1, equals), latin1(bytes, equals + 1, end)];
    if (key === "" || (NAMES.has(key) ? value : key).includes("\0")) throw damaged("an extended header holds a name that is none");
    found.push([key, value]);
    at = end + 1;
  }
  return found;
}

export interface Said {
  path?: string;
  link?: string;
  pax: Map<string, string>;
  xattrs: Map<string, string>;
  /** Offsets and lengths of GNU.sparse.offset and .numbytes. */
  sparse: number[];
  /** How much was said: bytes, and in how many headers. */
  bytes: number;
  headers: number;
}

export const nothingSaid = (): Said => ({ pax: new Map(), xattrs: new Map(), sparse: [], bytes: 0, headers: 0 });

const SCHILY = "SCHILY.xattr.";
const LIBARCHIVE = "LIBARCHIVE.xattr.";

/** An extended header, which takes the place of one before it; what comes twice in it counts as it is said last. */
export function take(said: Said, bytes: Uint8Array): void {
  const libarchive = new Map<string, string>();
  Object.assign(said, { pax: new Map(), xattrs: new Map(), sparse: [] } satisfies Partial<Said>);
  for (const [key, value] of records(bytes)) {
    if (key === "GNU.sparse.offset" || key === "GNU.sparse.numbytes") said.sparse.push(whole(value));
    else if (key.startsWith(SCHILY)) said.xattrs.set(key.slice(SCHILY.length), value);
    else if (key.startsWith(LIBARCHIVE)) libarchive.set(unescape(key.slice(LIBARCHIVE.length)), textOfBase64(value));
    else said.pax.set(key, value);
  }
  // libarchive writes both forms of each attribute
  for (const [name, value] of libarchive) if (!said.xattrs.has(name)) said.xattrs.set(name, value);
  // as POSIX has it: without a value nothing is said
  for (const [name, value] of said.xattrs) if (value === "") said.xattrs.delete(name);
}

/** libarchive writes names of attributes as in addresses, byte by byte. */
const unescape = (name: string): string =>
  name.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));

/** Of a number that is no less than zero. */
export const DIGITS_MAX = 16;

export function whole(value: string): number {
  if (value.length > DIGITS_MAX || !/^\+?\d+$/.test(value) || Number(value) > Number.MAX_SAFE_INTEGER) throw noNumber();
  return Number(value);
}

/** Of an owner or a time, which may have parts of a second; a value that pax states counts, not the header's. */
function statedAs(pattern: RegExp, value: string | undefined, header: number): number {
  if (value === undefined || value === "") return header;
  if (!pattern.test(value)) throw noNumber();
  return Math.floor(Number(value));
}

export const statedId = (value: string | undefined, header: number): number => statedAs(/^[+-]?\d{1,19}$/, value, header);
export const statedTime = (value: string | undefined, header: number): number => statedAs(/^[+-]?\d{1,19}(\.\d*)?$/, value, header);

/** Where the map of a sparse file stands; null: it is a plain file, whatever else is said. */
export function sparseForm({ pax, sparse }: Said): "in the header" | "in the data" | null {
  const version = `${pax.get("GNU.sparse.major") ?? ""}.${pax.get("GNU.sparse.minor") ?? ""}`;
  if (version === "1.0") return "in the data";
  if (version === "0.0" || version === "0.1") return "in the header";
  return version === "." && (sparse.length > 0 || pax.get("GNU.sparse.map")) ? "in the header" : null;
}
