/** What lies below a folder of a guest, no more of it than is held here. Who controls the inputs: the guest (names, targets, how many). */
import { visible } from "@xenoservers/protocol";
import { GuestFileError, type GuestEntry, type GuestFiles } from "./files.ts";

/** What a folder may hold: more is taken in parts. */
const ENTRIES_MAX = 1_000_000;
const TEXT_BYTES_MAX = 256 * 1024 * 1024;

/**
 * `lost`: told what the guest cannot look at or into; left out: that ends it. Throws GuestFileError, also where a path is none or there is
 * more than `entriesMax`.
 */
export async function listed(
  files: Pick<GuestFiles, "list">,
  folder: string,
  lost?: (path: string, why: string) => void,
  entriesMax = ENTRIES_MAX,
): Promise<GuestEntry[]> {
  const entries: GuestEntry[] = [];
  let [count, text] = [0, 0];
  const counted = (...words: string[]): void => {
    text += words.join("").length;
    if (++count > entriesMax || text > TEXT_BYTES_MAX)
      throw new GuestFileError(`${folder} holds more than ${entriesMax} files: take it in parts`);
  };
  const take = (entry: GuestEntry): void => {
    counted(entry.path, entry.target, entry.which);
    if (entry.path.split("/").some((name) => name === "" || name === "." || name === ".."))
      throw new GuestFileError(`the guest names a path that is none: ${visible(entry.path)}`);
    entries.push(entry);
  };
  const told = (path: string, why: string): void => {
    counted(path, why);
    lost?.(path, `the guest cannot look at all of it: ${visible(why)}`);
  };
  await files.list(folder, take, lost && told);
  return entries;
}
