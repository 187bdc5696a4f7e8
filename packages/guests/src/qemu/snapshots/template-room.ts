/** Which booted guests go when there are too many. Who controls the inputs: customers, by what they order. */
import { SHARE } from "../images/cache.ts";

export interface KeptTemplate {
  name: string;
  /** For whom it was made; empty: for the owner. */
  maker: string;
  /** When it was used last. */
  at: number;
}

/** At least one: who orders one image again and again starts it from where it had booted. */
const shareOf = (most: number): number => Math.max(1, Math.floor(most * SHARE));

/** The least used go first: of a customer's, what is above its share; then of all. */
export function templatesToDrop(kept: readonly KeptTemplate[], most: number): string[] {
  const counts = new Map<string, number>();
  const stay: KeptTemplate[] = [];
  const go: KeptTemplate[] = [];
  for (const each of [...kept].sort((a, b) => b.at - a.at)) {
    const count = (counts.get(each.maker) ?? 0) + 1;
    const isOver = stay.length >= most || (each.maker !== "" && count > shareOf(most));
    if (!isOver) counts.set(each.maker, count);
    (isOver ? go : stay).push(each);
  }
  return go.map(({ name }) => name);
}
