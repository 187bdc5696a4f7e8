/**
 * The public documents that give keys their roles: a party's first document, its rotations, grants. Whoever gets a document from this
 * broker gets these with it, and need not believe the broker who signed it. Who controls the inputs: the envelopes were checked when they
 * were filed; what stands inside them is their signers'. Bounds: keys remembered here, rotations and grants on the way to a key
 * (parties.ts), envelopes looked for inside one.
 */
import { fromBase64, parseUtf8, zEnvelope, type Envelope } from "@xenoservers/protocol";
import type { KeyRow, StoredDocument } from "../store/store.ts";
import type { Services } from "./round.ts";

const KEYS_KEPT_MAX = 5_000;
const DEPTH_MAX = 3;

/** Every envelope inside a document, itself included. */
export function envelopesIn(envelope: Envelope, depth = DEPTH_MAX): Envelope[] {
  const bytes = depth > 0 ? fromBase64(envelope.payload) : null;
  const text = bytes && parseUtf8(bytes);
  const payload: unknown = text === null ? null : JSON.parse(text);
  const values = typeof payload === "object" && payload !== null ? Object.values(payload) : [];
  const inside = values.flatMap((value) => {
    const parsed = typeof value === "object" && value !== null && "payloadType" in value ? zEnvelope.safeParse(value) : null;
    return parsed?.success ? envelopesIn(parsed.data, depth - 1) : [];
  });
  return [envelope, ...inside];
}

const signersOf = (envelopes: readonly Envelope[]): string[] => [
  ...new Set(envelopes.flatMap((envelope) => envelopesIn(envelope).flatMap(({ signatures }) => signatures.map(({ keyid }) => keyid)))),
];

/** What gave a key its role: it never changes. */
interface Origin {
  documents: readonly StoredDocument[];
  grantedBy: string | null;
}

/** What a key leans on comes before it. */
function inOrderOfGrants(keys: readonly string[], origins: ReadonlyMap<string, Origin>): Origin[] {
  const ordered = new Set<Origin>();
  const add = (key: string): void => {
    const origin = origins.get(key);
    if (!origin || ordered.has(origin)) return;
    if (origin.grantedBy !== null) add(origin.grantedBy);
    ordered.add(origin);
  };
  keys.forEach(add);
  return [...ordered];
}

/** By the time of their filing, each once; what was filed at the same time stays as it is. */
const inOrder = (documents: readonly StoredDocument[]): StoredDocument[] =>
  [...new Map(documents.map((document) => [document.id, document])).values()].sort((a, b) => a.at - b.at);

export class Credentials {
  readonly #services: Services;
  readonly #origins = new Map<string, Origin>();

  constructor(services: Services) {
    this.#services = services;
  }

  /** Keys of parties that signed these documents or what stands inside them. */
  #partysSigners(envelopes: readonly Envelope[]): string[] {
    const { keys, operatorKey } = this.#services.market;
    const pinned = new Set([...Object.values(keys), operatorKey]);
    return signersOf(envelopes).filter((key) => !pinned.has(key));
  }

  /** The documents that make the signers of these documents, and of what stands inside them, what they are. */
  async of(envelopes: readonly Envelope[]): Promise<StoredDocument[]> {
    return inOrder((await this.#chains(this.#partysSigners(envelopes))).flatMap(({ documents }) => documents));
  }

  /** The documents that make these keys what they are. */
  async ofKeys(keyids: readonly string[]): Promise<StoredDocument[]> {
    return inOrder((await this.#chains(keyids)).flatMap(({ documents }) => documents));
  }

  /** As `of`, with the documents that ended any of these keys. */
  async withEnds(envelopes: readonly Envelope[]): Promise<StoredDocument[]> {
    const keys = this.#partysSigners(envelopes);
    const chains = await this.#chains(keys);
    const granters = chains.flatMap(({ grantedBy }) => grantedBy ?? []);
    const rows = await this.#services.store.load("key", [...new Set([...keys, ...granters])]);
    const ids = [...new Set([...rows.values()].flatMap(({ data }) => data.revocation ?? []))];
    const ends = await this.#stored(ids);
    const enders = await this.of(ends.map(({ envelope }) => envelope));
    return inOrder([...chains.flatMap(({ documents }) => documents), ...enders, ...ends]);
  }

  /** The origins of these keys and of whatever they lean on, which comes first. */
  async #chains(keyids: readonly string[]): Promise<Origin[]> {
    const found = new Map<string, Origin>();
    for (let wanted = [...keyids]; wanted.length > 0;) {
      const missing = wanted.filter((key) => !this.#origins.has(key));
      const rows = missing.length > 0 ? await this.#services.store.load("key", missing) : new Map<string, { data: KeyRow }>();
      const read = await Promise.all([...rows.values()].map(({ data }) => this.#originOf(data)));
      const fresh = new Map(read);
      for (const key of wanted) {
        const origin = this.#origins.get(key) ?? fresh.get(key);
        if (origin) found.set(key, origin);
      }
      for (const [key, origin] of fresh) this.#keep(key, origin);
      wanted = [...new Set(wanted.flatMap((key) => found.get(key)?.grantedBy ?? []))].filter((key) => !found.has(key));
    }
    return inOrderOfGrants(keyids, found);
  }

  async #originOf({ id, grant, announced, grantedBy }: KeyRow): Promise<[string, Origin]> {
    return [id, { documents: await this.#stored([...(announced === null ? [] : [announced]), grant]), grantedBy }];
  }

  async #stored(ids: readonly string[]): Promise<StoredDocument[]> {
    return (await Promise.all(ids.map((id) => this.#services.store.document(id)))).filter((document) => document !== null);
  }

  #keep(key: string, origin: Origin): void {
    for (const oldest of this.#origins.keys()) {
      if (this.#origins.size < KEYS_KEPT_MAX) break;
      this.#origins.delete(oldest);
    }
    this.#origins.set(key, origin);
  }
}

const kept = new WeakMap<Services, Credentials>();

/** One for each broker: what it remembers serves all who ask. */
export function credentialsOf(services: Services): Credentials {
  const known = kept.get(services) ?? new Credentials(services);
  kept.set(services, known);
  return known;
}
