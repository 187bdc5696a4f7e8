/** What a guest's console says of its panic. Pure. Who controls the inputs: the guest, every byte. */

const WORDS_MAX = 200;

/** The last line that names a panic, in plain characters; empty where none does. */
export function panicLine(text: string): string {
  const line = text.split(/[\r\n]+/).findLast((each) => each.includes("Kernel panic - "));
  if (line === undefined) return "";
  const said = line.slice(line.indexOf("Kernel panic - ")).replaceAll(/[^\x20-\x7e]/g, "?");
  return `its console says: ${said.slice(0, WORDS_MAX)}`;
}
