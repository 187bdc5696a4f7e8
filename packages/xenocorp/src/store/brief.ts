/**
 * A lease's documents but for its claims, of which one that ran for a month has half a million. Who controls their number: the lease's
 * parties; nobody bounds how often a customer extends.
 */
import type { Store, StoredDocument } from "./store.ts";

const PAGE = 1_000;

/** All of them, in the order of their filing. */
export async function briefOf(store: Pick<Store, "documentsAfter">, lease: string): Promise<StoredDocument[]> {
  const documents: StoredDocument[] = [];
  for (;;) {
    const page = await store.documentsAfter(lease, documents.at(-1)?.id ?? null, PAGE, true);
    documents.push(...page);
    if (page.length < PAGE) return documents;
  }
}
