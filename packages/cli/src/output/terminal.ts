/**
 * All that this program writes on a terminal goes through here: results on stdout, progress and errors on stderr, `--json` for programs.
 * Who controls the texts: also others (labels, names, problems, refusals). Invariant: nothing of a line is obeyed by a terminal but the
 * colours given here; only a job's own output goes as it is.
 */
import { builtin } from "@xenoservers/protocol/builtin";
import { visible, visibleJson } from "@xenoservers/protocol/visible";

export type Stream = "stdout" | "stderr";

let colour: { number: string; pattern: RegExp } | null = null;
/** In every colour that is given here, and in none that a text brings: nobody else can know it. Made where a first one is wanted. */
function ours(): { number: string; pattern: RegExp } {
  if (colour) return colour;
  // loading it takes longer than all else that a version is printed by
  const number = String(builtin("node:crypto").randomBytes(4).readUInt32BE());
  return (colour = { number, pattern: new RegExp(`\\u001B\\[${number};(\\d+)m`, "gu") });
}

const colours = (): boolean => [process.stdout, process.stderr].some(({ isTTY }) => isTTY) && process.env["NO_COLOR"] === undefined;
const code = (number: number): string => `\u001B[${ours().number};${number}m`;
const paint = (number: number) => (text: string) => (colours() ? `${code(number)}${text}${code(0)}` : text);
export const dim = paint(2);
export const bold = paint(1);
export const green = paint(32);
export const red = paint(31);
export const yellow = paint(33);

/** A line as a terminal, or whoever reads in its place, may have it. */
function shownLine(line: string, coloured: boolean): string {
  if (!line.includes("\u001B[")) return visible(line);
  const parts = line.split(ours().pattern);
  return parts.map((part, i) => (i % 2 === 0 ? visible(part) : coloured ? `\u001B[${part}m` : "")).join("");
}

function write(stream: Stream, lines: readonly string[]): void {
  process[stream].write(lines.map((line) => `${shownLine(line, process[stream].isTTY)}\n`).join(""));
}

/** A line each; an empty one where there is none. */
export const say = (...lines: string[]): void => write("stderr", lines.length === 0 ? [""] : lines);
export const print = (...lines: string[]): void => write("stdout", lines.length === 0 ? [""] : lines);
export const printJson = (value: unknown): void => void process.stdout.write(`${visibleJson(JSON.stringify(value))}\n`);

/** A job's own output, byte by byte: its customer asked for it. Resolves when whoever reads it has taken it, or has gone. */
export const showRaw = (stream: Stream, bytes: Uint8Array | string): Promise<void> =>
  new Promise((taken) => process[stream].write(bytes, () => taken()));

/** A line for people on standard output; resolves when it was taken: of what has more lines than memory. */
export const showLine = (line: string): Promise<void> => showRaw("stdout", `${visible(line)}\n`);

/** A line of a JSON text for programs, in the same way. */
export const showJsonLine = (line: string): Promise<void> => showRaw("stdout", `${visibleJson(line)}\n`);

/** The fields of an object as they stand within its braces. */
const fieldsOf = (value: object): string => JSON.stringify(value).slice(1, -1);

/**
 * One JSON object with a list in it, written page by page as it comes, no faster than whoever reads it takes it. `tail`: what is known
 * when the list is over.
 */
export async function printJsonList(
  head: object,
  list: string,
  pages: AsyncIterable<readonly unknown[]>,
  tail: () => object,
): Promise<void> {
  const put = (text: string): Promise<void> => showRaw("stdout", visibleJson(text));
  const first = fieldsOf(head);
  // a list that cannot be read at all is an error and no beginning of an object
  const begin = `{${first}${first === "" ? "" : ","}${JSON.stringify(list)}:[`;
  let isBegun = false;
  let written = 0;
  for await (const page of pages) {
    if (!isBegun) await put(begin);
    isBegun = true;
    if (page.length > 0) await put(`${written > 0 ? "," : ""}${page.map((row) => JSON.stringify(row)).join(",")}`);
    written += page.length;
  }
  if (!isBegun) await put(begin);
  const last = fieldsOf(tail());
  await put(`]${last === "" ? "" : ","}${last}}`);
  await showRaw("stdout", "\n");
}

/** Where a log of JSON lines goes. */
export const logLines = { write: (line: string): void => void process.stderr.write(`${visibleJson(line.trimEnd())}\n`) };
