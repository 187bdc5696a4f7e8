/** Bytes to text and back, the same in Node and browsers. Decoders are strict: one text per byte string, null for anything else. */

const encoder = new TextEncoder();
const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export const utf8 = (text: string): Uint8Array => encoder.encode(text);

export function parseUtf8(bytes: Uint8Array): string | null {
  try {
    return strictDecoder.decode(bytes);
  } catch {
    return null;
  }
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

export function toHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += HEX[byte];
  return text;
}

export function fromHex(text: string): Uint8Array | null {
  if (text.length % 2 !== 0 || !/^[0-9a-f]*$/.test(text)) return null;
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = (nibble(text.charCodeAt(2 * i)) << 4) | nibble(text.charCodeAt(2 * i + 1));
  return bytes;
}

/** As fromHex, of text that was checked before; throws where it is no hex. */
export function bytesOfHex(text: string): Uint8Array {
  const bytes = fromHex(text);
  if (!bytes) throw new TypeError("must be lowercase hex");
  return bytes;
}

/** Of a digit or a letter from a to f. */
const nibble = (code: number): number => (code < 58 ? code - 48 : code - 87);

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const VALUE = new Int8Array(128).fill(-1);
for (let i = 0; i < 64; i++) VALUE[ALPHABET.charCodeAt(i)] = i;

/** RFC 4648 base64 with padding. */
export function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += 3) {
    const chunk = ((bytes[i] ?? 0) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    text += ALPHABET[chunk >> 18];
    text += ALPHABET[(chunk >> 12) & 63];
    text += i + 1 < bytes.length ? ALPHABET[(chunk >> 6) & 63] : "=";
    text += i + 2 < bytes.length ? ALPHABET[chunk & 63] : "=";
  }
  return text;
}

export function fromBase64(text: string): Uint8Array | null {
  if (text.length % 4 !== 0) return null;
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const letters = text.length - padding;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  let at = 0;
  for (let i = 0; i < text.length; i += 4) {
    let chunk = 0;
    for (let j = i; j < i + 4; j++) {
      const code = text.charCodeAt(j);
      const value = j >= letters ? 0 : code < 128 ? (VALUE[code] ?? -1) : -1;
      if (value < 0) return null;
      chunk = (chunk << 6) | value;
    }
    for (let shift = 16; shift >= 0; shift -= 8)
      if (at < bytes.length) bytes[at++] = (chunk >> shift) & 255;
      // what the padding stands for must be nothing: one text per byte string
      else if (((chunk >> shift) & 255) !== 0) return null;
  }
  return bytes;
}

export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/**
 * Gives bytes back at once that nobody reads any more. Left to the collector, up to 64 MiB of them stay: it counts what lies outside its
 * heap and looks for it only then, whatever the heap may be. They must be this caller's alone; what shares its memory with other bytes
 * stays for the collector.
 */
export function letGo({ buffer, byteLength }: Uint8Array): void {
  if (buffer.byteLength === byteLength) letGoOfAll({ buffer });
}

/** The same of all the memory in which they lie, which must be this caller's alone. */
export function letGoOfAll({ buffer }: Pick<Uint8Array, "buffer">): void {
  if (buffer instanceof ArrayBuffer) buffer.transfer(0);
}
