/** What a broker does for its archive in its own time: rows whose receipts lie there, then leases that are long over. */
import type { Logger } from "pino";
import type { Services } from "../desk/round.ts";
import { Receipts } from "../http/receipts.ts";
import type { ArchiveFolder } from "./archive-folder.ts";
import { archiveRows } from "./archiving-rows.ts";
import { archiveOver } from "./archiving.ts";

/** Moves some, returns how many. Without a folder nothing moves, and the log says so once where some lies in one. */
export async function archiveJob(
  services: Services,
  folder: ArchiveFolder | null,
  { afterMs, logger }: { afterMs: () => number; logger: Logger },
): Promise<() => Promise<number>> {
  const { store } = services;
  if (!folder) {
    const away =
      "leases that are long over lie in an archive, and no folder is named for it (--archive): what is asked of them is unavailable";
    if (await store.isArchived()) logger.warn(away);
    return async () => 0;
  }
  const receipts = new Receipts(services);
  const long = new Set<string>();
  return async () => {
    const rows = await archiveRows({ store, folder, now: services.now(), afterMs: afterMs() });
    return rows + (await archiveOver({ services, receipts, folder, afterMs: afterMs(), long }));
  };
}
