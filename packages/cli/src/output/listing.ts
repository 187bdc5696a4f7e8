/** A list that a verb shows: all of it at once for people, page by page for programs, and where the rest is. */
import { say } from "./terminal.ts";

/** What the pages have in common that a list is read by. */
interface PageView {
  next: string | null;
}

/** A place in a list, for its query. */
export const fromPlace = (after: string | null): { after?: string } => (after === null ? {} : { after });

export class Listing<P extends PageView, R> {
  readonly #pages: AsyncIterable<P>;
  readonly #rowsOf: (page: P) => readonly R[];
  /** Where the rest begins, once all pages were read; null: there is no more. */
  next: string | null = null;

  constructor(pages: AsyncIterable<P>, rowsOf: (page: P) => readonly R[]) {
    this.#pages = pages;
    this.#rowsOf = rowsOf;
  }

  async *byPage(): AsyncGenerator<readonly R[], void> {
    for await (const page of this.#pages) {
      this.next = page.next;
      yield this.#rowsOf(page);
    }
  }

  async all(): Promise<R[]> {
    const all: R[] = [];
    for await (const rows of this.byPage()) all.push(...rows);
    return all;
  }

  /** Says how to read on, where there is more. */
  sayMore(command: string): void {
    if (this.next !== null) say(`more: ${command} --after ${this.next}`);
  }
}
