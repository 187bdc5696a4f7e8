/**
 * What the broker's door lets in: tokens that every request and message costs, by source address and by party; places for links, channels,
 * event streams and results on their way; turns of requests that wait for the database; memory for what is buffered. One door for all of
 * a broker. Who controls the inputs: anyone.
 */
import type { Timers, ToBroker } from "@xenoservers/protocol/link";
import { memoryBudget, MEMORY_MIB, type MemoryBudget } from "./memory-budget.ts";
import { Places } from "./places.ts";
import type { PartySession } from "./sessions.ts";
import { TokenBucket, TokenBuckets } from "./token-bucket.ts";
import { Turns, type TurnBounds } from "./turns.ts";

const REQUESTS_PER_SECOND = 500;
const REMEMBERED_MAX = 50_000;
/** What comes in one piece after a link is no more listened to is still paid for. */
const OWED_MS_MAX = 5_000;

/** In tokens. */
const REQUEST_COST = 4;
export const MESSAGE_COSTS: Readonly<Record<ToBroker["t"], number>> = {
  hello: 8,
  submit: 4,
  "channel-open": 16,
  "channel-close": 1,
  ping: 4,
  will: 8,
};
/** A channel that was asked for where there is none costs its look-up and an answer. */
export const OPEN_REFUSED_COST = 48;
/** A document that is refused was read, checked and looked up for nothing. */
export const SUBMIT_REFUSED_COST = 28;
/** WebSocket's own ping and pong. */
export const CONTROL_FRAME_COST = 4;
/** A connection that is cut for what it sent unasked has had its parser go through thousands of them. */
export const PIPELINE_CUT_COST = 2_000;
/** However many bytes a channel's message has: how many pass in a turn is bounded for all together (sips.ts), and each link has its own. */
const CHANNEL_MESSAGE_COST = 0.25;
/** Bytes of no channel come from honest ends, too, for as long as they have not heard that it is closed. */
const ASTRAY_COST_MIN = 4;
const ASTRAY_BYTES_PER_TOKEN = 2 * 1024;
export const costOfBytes = (length: number, hasChannel: boolean): number =>
  hasChannel ? CHANNEL_MESSAGE_COST : Math.max(ASTRAY_COST_MIN, length / ASTRAY_BYTES_PER_TOKEN);

/** How many at once, in all and of one holder. */
export const PLACES = {
  connections: { max: 20_000, perHolder: 4_096 },
  waiting: { max: 5_000, perHolder: 512 },
  addressLinks: { max: 20_000, perHolder: 2_048 },
  /** Two for a run in a pipeline: what it follows, and its last wills. */
  partyLinks: { max: 20_000, perHolder: 256 },
  channels: { max: 20_000, perHolder: 1_024 },
  /** Documents whose answer is not there yet: the desk takes all that wait at once, so that few of one holder are all that it needs. */
  documents: { max: 4_000, perHolder: 64 },
  /** A few, for as long as each of them comes; those of one address leave others theirs. */
  longBodies: { max: 64, perHolder: 4 },
  addressStreams: { max: 4_000, perHolder: 256 },
  partyStreams: { max: 4_000, perHolder: 64 },
  transfers: { max: 32, perHolder: 2 },
} as const;
type Placed = keyof typeof PLACES;

/**
 * Of requests by source address. Reads leave the desk and the broker's own loops connections to the database; the desk takes all documents
 * that wait at once, and needs many.
 */
const TURNS = {
  reads: { atOnce: 12, waitingMax: 1_024, perHolder: 256 },
  documents: { atOnce: 256, waitingMax: 1_024, perHolder: 256 },
} as const;
type Turned = keyof typeof TURNS;

export interface DoorOptions {
  /** Requests per second and source address, with twice as many at once. A party has the same for all of its links together. */
  requestsPerSecond?: number;
  /** For everything that is buffered for others. */
  memoryMib?: number;
  places?: Partial<Record<Placed, { max: number; perHolder: number }>>;
  turns?: Partial<Record<Turned, TurnBounds>>;
}

/** A server's key stands for itself, as its owner may have many. */
export const holderOf = ({ party, key }: PartySession): string => (key.role === "server" ? key.id : party);

export class Door {
  readonly memory: MemoryBudget;
  readonly turns: Readonly<Record<Turned, Turns>>;
  readonly #places: Readonly<Record<Placed, Places>>;
  readonly #addresses: TokenBuckets;
  readonly #parties: TokenBuckets;

  constructor(clock: Pick<Timers, "now">, options: DoorOptions = {}) {
    this.memory = memoryBudget(options.memoryMib ?? MEMORY_MIB);
    const turnsOf = (what: Turned): Turns => new Turns(options.turns?.[what] ?? TURNS[what]);
    this.turns = { reads: turnsOf("reads"), documents: turnsOf("documents") };
    const of = (what: Placed): Places => {
      const { max, perHolder } = options.places?.[what] ?? PLACES[what];
      return new Places(max, perHolder);
    };
    this.#places = {
      ...{ connections: of("connections"), waiting: of("waiting"), addressLinks: of("addressLinks"), partyLinks: of("partyLinks") },
      ...{
        documents: of("documents"),
        channels: of("channels"),
        longBodies: of("longBodies"),
        addressStreams: of("addressStreams"),
        partyStreams: of("partyStreams"),
        transfers: of("transfers"),
      },
    };
    const perSecond = REQUEST_COST * (options.requestsPerSecond ?? REQUESTS_PER_SECOND);
    const buckets = (): TokenBuckets => new TokenBuckets(REMEMBERED_MAX, () => new TokenBucket(perSecond, 2 * perSecond, clock));
    this.#addresses = buckets();
    this.#parties = buckets();
  }

  /** Whether an address may make one more request now. */
  admits(address: string): boolean {
    return this.#addresses.of(address).take(REQUEST_COST);
  }

  /** The same of who asks, wherever it asks from. */
  admitsParty(session: PartySession): boolean {
    return this.#parties.of(holderOf(session)).take(REQUEST_COST);
  }

  /**
   * A message has come. Whether its party may go on: one that owes more than whoever waits its turn ever could is asking too much; an
   * address may be shared with others who do.
   */
  charge(address: string, session: PartySession | null, cost: number): boolean {
    this.#addresses.of(address).charge(cost);
    if (!session) return true;
    const own = this.#parties.of(holderOf(session));
    own.charge(cost);
    return own.owedMs() <= OWED_MS_MAX;
  }

  /** For how many ms a link should not be listened to. */
  owedMs(address: string, session: PartySession | null): number {
    return Math.max(this.#addresses.of(address).owedMs(), session ? this.#parties.of(holderOf(session)).owedMs() : 0);
  }

  take(what: Placed, holder: string): (() => void) | null {
    return this.#places[what].take(holder);
  }

  /** How many are taken, of each. */
  get taken(): Record<string, number> {
    return Object.fromEntries(Object.entries(this.#places).map(([what, places]) => [what, places.taken]));
  }

  /** A place by each of these holders, or none; what is returned gives all of them back. */
  takeAll(wanted: readonly (readonly [Placed, string])[]): (() => void) | null {
    const taken: (() => void)[] = [];
    const giveBack = (): void => taken.forEach((free) => free());
    for (const [what, holder] of wanted) {
      const free = this.take(what, holder);
      if (!free) {
        giveBack();
        return null;
      }
      taken.push(free);
    }
    return giveBack;
  }
}
