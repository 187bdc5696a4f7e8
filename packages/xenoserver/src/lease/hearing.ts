/**
 * What a lease is told: documents are folded, saved and then obeyed. What is rightly signed and does not follow has mostly come before its
 * time; what still does not follow after the broker's log was asked is evidence, and a settlement among it is objected to. Who controls the
 * inputs: the broker.
 */
import type { Lease } from "@xenoservers/market";
import type { Documents } from "@xenoservers/protocol/link";
import type { LeaseContext } from "./lease-context.ts";
import { documentsIn, logPages } from "./lease-log.ts";
import { objectToWrongSettlement } from "./objection.ts";

/** An answer that explains a document comes within a moment of it. */
const RECONCILE_MS = 2_000;
/** A broker that does not show its log is asked again, so often. */
const TRIES_MAX = 5;

export class Hearing {
  readonly #ctx: LeaseContext;
  readonly #changed: (before: Lease) => Promise<void>;
  #reconciling = false;
  /** What the broker's log did not explain. */
  readonly #unexplained = new Set<string>();

  /** `changed`: the fold has made something else of the lease; it is saved. */
  constructor(ctx: LeaseContext, changed: (before: Lease) => Promise<void>) {
    this.#ctx = ctx;
    this.#changed = changed;
  }

  async take(documents: Documents): Promise<void> {
    const { facts } = this.#ctx;
    const before = facts.lease;
    if (facts.take(documents)) await this.#obey(before);
    if (facts.held.some(({ fact }) => !this.#unexplained.has(fact.id))) this.#reconcileSoon();
  }

  async #obey(before: Lease): Promise<void> {
    await this.#ctx.save();
    await this.#changed(before);
  }

  /** All that the broker's log has; false where it cannot be had. */
  async catchUp(): Promise<boolean> {
    const { world, record, facts } = this.#ctx;
    const anew = facts.anew();
    for await (const page of logPages(world, record.lease)) {
      if (page === null) return false;
      anew.follow(documentsIn(page));
    }
    const before = facts.lease;
    if (facts.adopt(anew)) await this.#obey(before);
    return true;
  }

  /** What the broker's log has after that document, where all before it is known; what cannot be had now is asked for again, apart. */
  async goOnFrom(after: string): Promise<void> {
    const from = await this.#read(after);
    if (from !== null) this.#ctx.apart(this.#readLater(from));
  }

  /** Null where all of it was had; else what it was had up to. */
  async #read(after: string): Promise<string | null> {
    const { world, record } = this.#ctx;
    let from = after;
    for await (const page of logPages(world, record.lease, after)) {
      if (page === null) return from;
      await this.take(documentsIn(page));
      from = page.documents.at(-1)?.id ?? from;
    }
    return null;
  }

  async #readLater(after: string): Promise<void> {
    let from: string | null = after;
    for (let tries = 0; from !== null && tries < TRIES_MAX; tries++) {
      await this.#ctx.sleep(RECONCILE_MS * 2 ** tries);
      if (this.#ctx.stage().is === "released") return;
      from = await this.#read(from);
    }
  }

  #reconcileSoon(): void {
    if (this.#reconciling) return;
    this.#reconciling = true;
    this.#ctx.apart(this.#reconcile().finally(() => (this.#reconciling = false)));
  }

  async #reconcile(): Promise<void> {
    const { facts } = this.#ctx;
    for (let tries = 0, shown = false; !shown && tries < TRIES_MAX; tries++) {
      await this.#ctx.sleep(RECONCILE_MS * 2 ** tries);
      if (this.#ctx.stage().is === "released" || facts.held.length === 0) return;
      shown = await this.catchUp();
    }
    for (const { fact, why } of facts.held) {
      this.#unexplained.add(fact.id);
      this.#ctx.log("a document does not follow", { kind: fact.kind, why });
    }
    await this.#ctx.save();
    if (facts.lease.end === null) await objectToWrongSettlement(this.#ctx);
  }
}
