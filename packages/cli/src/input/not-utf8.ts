/**
 * Words and variables that are not UTF-8: Node puts U+FFFD in the place of what it cannot read, so another word would be used than was
 * given. The kernel has the bytes (proc(5), cmdline and environ). Who controls the input: whoever types.
 */
import { readFileSync } from "node:fs";
import { UserError } from "../output/ui.ts";

/** Whether something may not have been read as it was. */
const isDoubtful = (text: string): boolean => text.includes("\uFFFD");

const [FIRST_PRINTABLE, LAST_PRINTABLE, HEXADECIMAL] = [0x20, 0x7e, 16];

const strict = new TextDecoder("utf-8", { fatal: true });

function isText(bytes: Uint8Array): boolean {
  try {
    strict.decode(bytes);
    return true;
  } catch {
    return false;
  }
}

/** As a shell's `$'…'` has it. */
const shown = (bytes: Uint8Array): string =>
  [...bytes]
    .map((byte) =>
      byte >= FIRST_PRINTABLE && byte <= LAST_PRINTABLE ? String.fromCharCode(byte) : `\\x${byte.toString(HEXADECIMAL).padStart(2, "0")}`,
    )
    .join("");

/** What the kernel has between zeros; none where there is no such file. */
function piecesOf(file: "cmdline" | "environ"): Buffer[] {
  let bytes: Buffer;
  try {
    bytes = readFileSync(`/proc/self/${file}`);
  } catch {
    return [];
  }
  const pieces: Buffer[] = [];
  for (let at = 0, end = bytes.indexOf(0); end >= 0; at = end + 1, end = bytes.indexOf(0, at)) pieces.push(bytes.subarray(at, end));
  return pieces;
}

const WAY = "bytes of a program's own are made where it runs, as by sh -c with printf there";

/** Throws UserError where one of the words that were typed is not what it was. */
export function assertWords(argv: readonly string[]): void {
  if (!argv.some(isDoubtful)) return;
  const wrong = piecesOf("cmdline")
    .slice(-argv.length)
    .find((piece) => !isText(piece));
  if (wrong) throw new UserError(`the word '${shown(wrong)}' is not UTF-8, and would be passed on as another one; ${WAY}`);
}

/** Throws UserError where that variable of this side's own is not what it was. */
export function assertVariable(name: string, value: string): void {
  if (!isDoubtful(value)) return;
  const wrong = piecesOf("environ").find((piece) => piece.subarray(0, name.length + 1).toString("utf8") === `${name}=`);
  if (wrong && !isText(wrong))
    throw new UserError(`the variable '${shown(wrong)}' is not UTF-8, and would be passed on as another one; ${WAY}`);
}
