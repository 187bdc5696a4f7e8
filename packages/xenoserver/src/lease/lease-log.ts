/** What the broker's log has of a lease, page by page: of a lease that ran for a month it is too long for one answer. */
import type { LogPage } from "@xenoservers/protocol";
import type { Documents } from "@xenoservers/protocol/link";
import type { BrokerApi } from "./runner-world.ts";

/** All of a page that is of the lease, each gap where it stands in the log's time, and what gives keys their roles. */
export function documentsIn({ documents, leaves }: LogPage): Documents {
  const roles = leaves.filter(({ kind }) => kind === "party" || kind.startsWith("key-"));
  const gaps = leaves.filter(({ kind }) => kind === "gap");
  const filed = [...documents, ...gaps].sort((a, b) => a.at - b.at).map(({ envelope, at }) => ({ envelope, at }));
  return { grants: roles.map(({ envelope }) => envelope), filed };
}

/** After that document of it, or from its first on; null, as the last, where the rest cannot be had. */
export async function* logPages(world: BrokerApi, lease: string, after: string | null = null): AsyncGenerator<LogPage | null> {
  for (let from = after, hasMore = true; hasMore;) {
    const page = await world.logged(lease, from).catch(() => null);
    yield page;
    from = page?.documents.at(-1)?.id ?? from;
    hasMore = page !== null && page.hasMore && page.documents.length > 0;
  }
}
