/**
 * Text that somebody else chose, as a person may be shown it: what would move the cursor, colour, rename a window, fill a clipboard, feign
 * a line or turn the reading direction is spelt out instead. Who controls the input: anyone.
 */

/** C0 and DEL, C1 (a terminal's escapes in one character), line and paragraph ends, and what turns or hides the reading direction. */
export const CONTROL = /[\p{Cc}\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069\uFEFF]/u;
const CONTROLS = new RegExp(CONTROL.source, "gu");

const spelt = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
const SHORT: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

export const visible = (text: string): string => text.replaceAll(CONTROLS, (character) => SHORT[character] ?? spelt(character));

/** JSON of the same value in one line, without a control character in it: a parser reads what was there. */
export const visibleJson = (json: string): string => json.replaceAll(CONTROLS, spelt);
