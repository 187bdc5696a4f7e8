/**
 * The leases that this page follows or has followed, and which of them it can send the job of. Who controls the inputs: whoever looks at
 * them; their servers.
 */
import type { Market } from "@xenoservers/sdk";
import { Followed } from "./followed.ts";

/** Leases that are over and whose output and files are held. */
const OVER_KEPT_MAX = 8;
/** Jobs that can be sent once more; a market's page holds as many. */
const SENT_KEPT_MAX = 32;

/** What goes on with a lease: by the market that ordered it the job is held, and is sent once more where its server has not all of it. */
type Attaching = Pick<Market, "attach">;

export class FollowedLeases {
  readonly #market: Attaching;
  readonly #followed = new Map<string, Followed>();
  /** By lease: the market of this page that has ordered it. */
  readonly #orderedBy = new Map<string, Attaching>();

  /** `market`: for leases that were ordered elsewhere, or in another visit. */
  constructor(market: Attaching) {
    this.#market = market;
  }

  /** It was ordered here. */
  ordered(lease: string, followed: Followed, market: Attaching): void {
    this.#followed.set(lease, followed);
    this.#orderedBy.set(lease, market);
    for (const oldest of [...this.#orderedBy.keys()].slice(0, -SENT_KEPT_MAX)) this.#orderedBy.delete(oldest);
  }

  /** A job that its server has not all of can be sent from here alone. */
  get isSending(): boolean {
    return [...this.#followed.values()].some((each) => each.isSending);
  }

  /** A lease's output from its beginning. What failed is tried again by whoever looks again: what was ordered here is sent once more. */
  follow(lease: string): Followed {
    const known = this.#followed.get(lease);
    if (known && known.standing().error === null) return known;
    const orderedBy = this.#orderedBy.get(lease);
    const begun = new Followed((watching) => (orderedBy ?? this.#market).attach(lease, watching), orderedBy !== undefined);
    this.#followed.set(lease, begun);
    return begun;
  }

  /** Nobody looks at it any more: what still has to send its job goes on. */
  unfollow(lease: string): void {
    const followed = this.#followed.get(lease);
    if (!followed) return;
    if (followed.standing().isOver) return this.#keepLast(lease, followed);
    if (followed.hasJob) return;
    followed.close();
    this.#followed.delete(lease);
  }

  /** What is over is there at once when it is looked at again; each may hold files. */
  #keepLast(lease: string, followed: Followed): void {
    this.#followed.delete(lease);
    this.#followed.set(lease, followed);
    const over = [...this.#followed].filter(([, each]) => each.standing().isOver);
    for (const [oldest] of over.slice(0, -OVER_KEPT_MAX)) this.#followed.delete(oldest);
  }
}
