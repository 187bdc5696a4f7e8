/** A key of a browser as X and RFB number it (RFC 6143, 7.5.4). */
const NAMED: Readonly<Record<string, number>> = {
  ...{ Backspace: 0xff08, Tab: 0xff09, Enter: 0xff0d, Escape: 0xff1b, Delete: 0xffff, Insert: 0xff63, Home: 0xff50, End: 0xff57 },
  ...{ ArrowLeft: 0xff51, ArrowUp: 0xff52, ArrowRight: 0xff53, ArrowDown: 0xff54, PageUp: 0xff55, PageDown: 0xff56 },
  ...{ Shift: 0xffe1, Control: 0xffe3, Alt: 0xffe9, AltGraph: 0xfe03, Meta: 0xffeb },
};
const F1 = 0xffbe;
const LATIN_1_END = 0x100;
const UNICODE = 0x0100_0000;

/** Null: no screen knows it. */
export function keysymOf(key: string): number | null {
  const named = Object.hasOwn(NAMED, key) ? NAMED[key] : undefined;
  if (named !== undefined) return named;
  const [, number] = /^F(\d{1,2})$/.exec(key) ?? [];
  if (number !== undefined) return Number(number) >= 1 && Number(number) <= 12 ? F1 + Number(number) - 1 : null;
  const [letter, ...more] = key;
  if (letter === undefined || more.length > 0) return null;
  const code = letter.codePointAt(0) ?? 0;
  return code < LATIN_1_END ? code : UNICODE + code;
}
