/** Bytes as text of which each character is one byte, so that nothing is lost of names that are no text. */

const CHUNK = 4_096;

export function latin1(bytes: Uint8Array, from = 0, to = bytes.length): string {
  let text = "";
  for (let at = from; at < to; at += CHUNK) text += String.fromCharCode(...bytes.subarray(at, Math.min(at + CHUNK, to)));
  return text;
}

/** As Node reads base64, which libarchive writes without its padding: what is no digit is passed over. */
export function textOfBase64(base64: string): string {
  const digits = (base64.split("=")[0] ?? "")
    .replaceAll("-", "+")
    .replaceAll("_", "/")
    .replaceAll(/[^A-Za-z0-9+/]/g, "");
  return atob(digits.length % 4 === 1 ? digits.slice(0, -1) : digits);
}
