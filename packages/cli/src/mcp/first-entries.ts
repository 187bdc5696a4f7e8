/** The beginning of what lies below a folder in a machine. Who controls the inputs: the guest, which may list without end. */
import type { GuestEntry, GuestFiles } from "@xenoservers/sdk";

/** At most so many, and one more where there are more: what follows is not waited for. Whoever calls closes `files` then. */
export async function firstEntries(files: Pick<GuestFiles, "list">, folder: string, most: number): Promise<GuestEntry[]> {
  const entries: GuestEntry[] = [];
  const enough = Promise.withResolvers<void>();
  const all = files.list(folder, (entry) => {
    if (entries.length <= most) entries.push(entry);
    if (entries.length > most) enough.resolve();
  });
  all.catch(() => {}); // it ends with `files`
  await Promise.race([all, enough.promise]);
  return entries;
}
