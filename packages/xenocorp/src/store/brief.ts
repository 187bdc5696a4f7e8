/** A lease's documents but for its claims, of which one that ran for a month has half a million. */
import type { Store, StoredDocument } from "./store.ts";

/** What is no claim is fewer in any lease. */
const BRIEF_MAX = 10_000;

/** In the order of their filing. */
export const briefOf = (store: Pick<Store, "documentsAfter">, lease: string): Promise<StoredDocument[]> =>
  store.documentsAfter(lease, null, BRIEF_MAX, true);
