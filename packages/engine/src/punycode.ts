/** Names with letters beyond ASCII, as punycode has them (RFC 3492). Who controls the text: the customer. */

const [BASE, T_MIN, T_MAX, SKEW, DAMP] = [36, 1, 26, 38, 700];
const [BIAS_FIRST, CODE_FIRST] = [72, 0x80];
const CODE_MAX = 0x10ffff;
const DIGITS = "abcdefghijklmnopqrstuvwxyz0123456789";

function adapted(delta: number, length: number, isFirst: boolean): number {
  let left = Math.floor(delta / (isFirst ? DAMP : 2));
  left += Math.floor(left / length);
  let steps = 0;
  for (; left > ((BASE - T_MIN) * T_MAX) / 2; steps += BASE) left = Math.floor(left / (BASE - T_MIN));
  return steps + Math.floor(((BASE - T_MIN + 1) * left) / (left + SKEW));
}

/** `ascii` are the letters below 128, in order; `rest` says which others stand where. Null where it says nothing. */
export function fromPunycode(ascii: string, rest: string): string | null {
  const letters = [...ascii];
  let [code, bias, at] = [CODE_FIRST, BIAS_FIRST, 0];
  for (let read = 0; read < rest.length; at++) {
    const before = at;
    for (let weight = 1, step = BASE; ; step += BASE) {
      const digit = DIGITS.indexOf(rest[read++] ?? "none");
      if (digit < 0) return null;
      at += digit * weight;
      const threshold = Math.min(Math.max(step - bias, T_MIN), T_MAX);
      if (digit < threshold) break;
      weight *= BASE - threshold;
      if (at > CODE_MAX * (letters.length + 1)) return null;
    }
    const length = letters.length + 1;
    bias = adapted(at - before, length, before === 0);
    code += Math.floor(at / length);
    at %= length;
    if (code > CODE_MAX || (code >= 0xd800 && code < 0xe000)) return null;
    letters.splice(at, 0, String.fromCodePoint(code));
  }
  return letters.join("");
}
