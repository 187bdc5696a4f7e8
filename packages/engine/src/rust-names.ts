/**
 * Rust's functions as their author wrote them, from the two kinds of name that its compilers give them: `_R…` (rustc book, "Symbol
 * Mangling", v0; rust-names-v0.ts) and the older `_ZN…17h<hash>E`. Linkers write C++'s names as they were written already. Who controls
 * a name: the customer; what is no such name, or too long to be anybody's, stays what it is.
 */
import { pathOf } from "./rust-names-v0.ts";

const NAME_LENGTH_MAX = 4096;
const LEGACY = /^_{0,2}ZN(.+)17h[0-9a-f]{16}E(\.[\w.]*)?$/s;
const V0 = /^_{0,2}R(?=[A-Z])(.+)$/s;
/** What LLVM adds to a name that it made known beyond its file. */
const OF_LLVM = /^\.llvm\..*$/s;
const ESCAPES: Readonly<Record<string, string>> = { SP: "@", BP: "*", RF: "&", LT: "<", GT: ">", LP: "(", RP: ")", C: "," };

function unescaped(part: string): string {
  const plain = part.replace(/^_(?=\$)/, "").replaceAll("..", "::");
  return plain.replaceAll(/\$(?:u([0-9a-f]{1,6})|([A-Z]{1,2}))\$/g, (whole, hex: string | undefined, name: string | undefined) => {
    if (name !== undefined) return Object.hasOwn(ESCAPES, name) ? ESCAPES[name]! : whole;
    const code = Number.parseInt(hex!, 16);
    return code >= 0x20 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) ? String.fromCodePoint(code) : whole;
  });
}

/** Each part behind its length; null where the lengths do not come out. */
function partsOf(text: string): string[] | null {
  const parts: string[] = [];
  for (let at = 0; at < text.length;) {
    const digits = /^[1-9]\d{0,3}/.exec(text.slice(at, at + 4))?.[0];
    if (digits === undefined) return null;
    const from = at + digits.length;
    at = from + Number(digits);
    if (at > text.length) return null;
    parts.push(unescaped(text.slice(from, at)));
  }
  return parts;
}

const behind = (suffix: string): string => (OF_LLVM.test(suffix) ? "" : suffix);

export function rustName(name: string): string {
  if (name.length > NAME_LENGTH_MAX) return name;
  const [, legacy, suffix = ""] = LEGACY.exec(name) ?? [];
  if (legacy !== undefined) {
    const parts = partsOf(legacy);
    return parts === null ? name : parts.join("::") + behind(suffix);
  }
  const [, mangled] = V0.exec(name) ?? [];
  const path = mangled === undefined ? null : pathOf(mangled);
  return path === null ? name : path.text + behind(path.suffix);
}
