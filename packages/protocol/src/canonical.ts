/**
 * Canonical JSON: RFC 8785 restricted to strings, safe integers, booleans, null, arrays and objects. Two parties that encode the same value
 * get the same bytes, and a reader accepts bytes only if encoding what it parsed gives them back: no duplicate or hidden keys.
 */
import { equalBytes, parseUtf8, utf8 } from "./bytes.ts";

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

class NotCanonical extends TypeError {}

export function canonicalText(value: Json): string {
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "string") {
    if (!value.isWellFormed()) throw new NotCanonical("a string is not well-formed UTF-16");
    return JSON.stringify(value);
  }
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) throw new NotCanonical(`only safe integers can be encoded, not ${value}`);
    return String(value);
  }
  if (isArray(value)) return `[${value.map(canonicalText).join(",")}]`;
  let members = "";
  for (const key of Object.keys(value).sort()) {
    const member = value[key];
    if (!key.isWellFormed()) throw new NotCanonical("a key is not well-formed UTF-16");
    if (member === undefined) throw new NotCanonical(`${key} has no value that can be encoded`);
    if (members !== "") members += ",";
    members += `${JSON.stringify(key)}:${canonicalText(member)}`;
  }
  return `{${members}}`;
}

const isArray = (value: Json): value is readonly Json[] => Array.isArray(value);

/**
 * Null where a value of others has no canonical form: JSON and the schemas let through a text with half a character and a zero below zero,
 * which nobody can have signed.
 */
export function ifCanonical<T>(written: () => T): T | null {
  try {
    return written();
  } catch (error) {
    if (error instanceof NotCanonical) return null;
    throw error;
  }
}

export const canonicalBytes = (value: Json): Uint8Array => utf8(canonicalText(value));

/** Parses canonical bytes; null where they are not UTF-8, not JSON or not canonical. */
export function parseCanonical(bytes: Uint8Array): Json | null {
  const text = parseUtf8(bytes);
  if (text === null) return null;
  try {
    const value: Json = JSON.parse(text);
    return equalBytes(canonicalBytes(value), bytes) ? value : null;
  } catch {
    return null;
  }
}
