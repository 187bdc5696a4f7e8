/**
 * Names and link targets as they are kept: what each takes in bytes, here and in JSON. Who controls the inputs: the customer and the
 * guest, every byte.
 */
import { encodeUtf8 } from "./guest-memory.ts";

export interface Measured {
  /** A copy: a part of a longer path would keep all of it in memory. */
  text: string;
  bytes: number;
  /** As JSON escapes it, from above. */
  escaped: number;
}

/** `\u001f` in place of one byte. */
const CONTROL_EXTRA = 5;
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const escapedLength = (raw: Uint8Array): number => {
  let length = raw.length;
  for (const byte of raw)
    if (byte < 0x20) length += CONTROL_EXTRA;
    else if (byte === 0x22 || byte === 0x5c) length++;
  return length;
};

export function measure(text: string): Measured {
  const raw = encodeUtf8(text);
  return { text: decoder.decode(raw), bytes: raw.length, escaped: escapedLength(raw) };
}

/** The bytes of a text in UTF-8, without making them. */
export function utf8Length(text: string): number {
  let length = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    // each half of a pair counts two of the pair's four
    length += unit < 0x800 || (unit >= 0xd800 && unit < 0xe000) ? 1 : 2;
  }
  return length;
}
