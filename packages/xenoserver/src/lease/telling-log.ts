/**
 * How the server that gives a lease away tells the other what the broker's log has of it: part by part, once while its guest runs, and what
 * was filed since then once it stands still. Who controls the inputs: the broker (its log).
 */
import type { Documents } from "@xenoservers/protocol/link";
import type { Taker } from "./taker.ts";
import type { LeaseContext } from "./lease-context.ts";
import { documentsIn, logPages } from "./lease-log.ts";

/** A broker shows what it has answered within a moment, for which a guest stands still; it is waited for twice as long each time. */
const SHOWN_WAIT_MS = 20;
const SHOWN_TRIES_MAX = 10;
/** Of the documents that were told last, so many are remembered. */
const RECENT_MAX = 1_000;
/** What is told at once; more only where one document is longer. */
const TOLD_AT_ONCE_CHARACTERS = 128 * 1024;

/** In parts of which none is long. What gives keys their roles comes before what they signed. */
export function* partsOf({ grants, filed }: Documents): Generator<Documents> {
  for (const grant of grants) yield { grants: [grant], filed: [] };
  let part: Documents["filed"] = [];
  let characters = 0;
  for (const each of filed) {
    const { length } = each.envelope.payload;
    if (part.length > 0 && characters + length > TOLD_AT_ONCE_CHARACTERS) {
      yield { grants: [], filed: part };
      [part, characters] = [[], 0];
    }
    part.push(each);
    characters += length;
  }
  if (part.length > 0) yield { grants: [], filed: part };
}

export class TellingLog {
  readonly #ctx: LeaseContext;
  readonly #to: Pick<Taker, "tell">;
  readonly #check: () => void;
  /** Up to which document it was told. */
  #after: string | null = null;
  #recent: string[] = [];

  /** `check`: throws where nobody needs it any more. */
  constructor(ctx: LeaseContext, to: Pick<Taker, "tell">, check: () => void) {
    this.#ctx = ctx;
    this.#to = to;
    this.#check = check;
  }

  /** Tells what was not told yet, with the last claim that was receipted. Throws where the broker does not show that. */
  async rest(): Promise<void> {
    for (let tries = 0; tries < SHOWN_TRIES_MAX; tries++) {
      await this.#pages();
      const { lastClaim } = this.#ctx.facts.lease;
      if (this.#after !== null && (lastClaim === null || this.#recent.includes(lastClaim.id))) return;
      await this.#ctx.sleep(SHOWN_WAIT_MS * 2 ** tries);
      this.#check();
    }
    throw new Error("the broker does not show its log of the lease");
  }

  async #pages(): Promise<void> {
    const { world, record } = this.#ctx;
    for await (const page of logPages(world, record.lease, this.#after)) {
      if (page === null) return;
      for (const part of partsOf(documentsIn(page))) {
        this.#check();
        await this.#to.tell(part);
      }
      const ids = page.documents.map(({ id }) => id);
      this.#recent = [...this.#recent, ...ids].slice(-RECENT_MAX);
      this.#after = ids.at(-1) ?? this.#after;
    }
  }
}
