/**
 * Names that are bytes, as text and back without a loss: a byte that is no UTF-8 stands as the lone surrogate U+DC00 + byte (as in Python,
 * PEP 383), which no text that is one holds. Who controls the inputs: a guest, an archive, this machine's file system (every byte).
 */
import { concatBytes, parseUtf8, utf8 } from "@xenoservers/protocol";

const LONE = 0xdc00;
const LONE_BYTE = /([\udc80-\udcff])/u;
const EVERY_LONE_BYTE = new RegExp(LONE_BYTE, "gu");

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** By its first byte: how many bytes a letter has, and between what its second lies (Unicode, table 3-7); 0: it begins none. */
function shapeOf(first: number): [length: number, least: number, most: number] {
  if (first < 0x80) return [1, 0, 0];
  if (first >= 0xc2 && first <= 0xdf) return [2, 0x80, 0xbf];
  if (first >= 0xe0 && first <= 0xef) return [3, first === 0xe0 ? 0xa0 : 0x80, first === 0xed ? 0x9f : 0xbf];
  if (first >= 0xf0 && first <= 0xf4) return [4, first === 0xf0 ? 0x90 : 0x80, first === 0xf4 ? 0x8f : 0xbf];
  return [0, 0, 0];
}

/** How many bytes the letter at a place has; 0 where there is none. */
function letterAt(bytes: Uint8Array, at: number): number {
  const [length, least, most] = shapeOf(bytes[at]!);
  for (let i = 1; i < length; i++) {
    const byte = bytes[at + i] ?? 0;
    if (byte < (i === 1 ? least : 0x80) || byte > (i === 1 ? most : 0xbf)) return 0;
  }
  return length;
}

export function nameOf(bytes: Uint8Array): string {
  const text = parseUtf8(bytes);
  if (text !== null) return text;
  let name = "";
  let from = 0;
  for (let at = 0; at < bytes.length;) {
    const length = letterAt(bytes, at);
    if (length === 0) {
      name += decoder.decode(bytes.subarray(from, at)) + String.fromCharCode(LONE | bytes[at]!);
      from = at + 1;
    }
    at += length || 1;
  }
  return name + decoder.decode(bytes.subarray(from));
}

/** Of any other lone surrogate U+FFFD, as text has it everywhere. */
export function bytesOfName(name: string): Uint8Array {
  if (name.isWellFormed()) return utf8(name);
  return concatBytes(...name.split(LONE_BYTE).map((part, i) => (i % 2 === 1 ? Uint8Array.of(part.charCodeAt(0) & 0xff) : utf8(part))));
}

/** Of UTF-8 a lone surrogate has three. */
export const nameBytes = (name: string): number =>
  utf8(name).length - (name.isWellFormed() ? 0 : 2 * (name.match(EVERY_LONE_BYTE)?.length ?? 0));
