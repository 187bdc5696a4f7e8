/**
 * Who may read: a challenge is signed once, the answer is a short-lived token. Both are good at every broker of the market: they carry
 * their end under an HMAC by the market's secret, and the database knows which challenges were answered. The key is looked up at every
 * use, so that one that was revoked or has expired reads nothing more. Who controls the inputs: anyone. Nothing is kept of a challenge
 * before it is answered by a key that is known.
 */
import {
  concatBytes,
  equalBytes,
  fromHex,
  keyRefusal,
  parseDocumentOf,
  refuse,
  toHex,
  utf8,
  verifySigner,
  type Refusal,
} from "@xenoservers/protocol";
import type { Services } from "../desk/round.ts";
import type { Reader } from "../store/reader.ts";
import type { KeyRow } from "../store/store.ts";

const TOKEN_MS = 15 * 60_000;
const CHALLENGE_MS = 60_000;
/** A challenge is random bytes, its end in six bytes, and the beginning of the HMAC over both. */
const CHALLENGE_RANDOM_BYTES = 10;
const CHALLENGE_BODY_BYTES = 16;
const CHALLENGE_BYTES = 32;
const OPERATOR = "operator";

export interface PartySession {
  by: "party";
  party: string;
  key: KeyRow;
}
export interface OperatorSession {
  by: "operator";
  /** What the login named; nothing follows from it. */
  party: string;
}
export type Session = PartySession | OperatorSession;

type Opened = { ok: true; session: Session } | Refusal;

/** What a key may see of leases. */
export const readerOf = ({ party, key }: PartySession): Reader => ({
  party,
  account: key.account,
  label: key.leaseLabel,
  serverKey: key.role === "server" ? key.id : null,
});

/** The time to judge a key by that is used now: one that was revoked by a clock ahead of this one is revoked. */
const asOf = (key: KeyRow | null, now: number): number => Math.max(now, key?.revokedAt ?? now);

const TIME_BYTES = CHALLENGE_BODY_BYTES - CHALLENGE_RANDOM_BYTES;
const bytesOfTime = (ms: number): Uint8Array =>
  Uint8Array.from({ length: TIME_BYTES }, (_, i) => Math.floor(ms / 256 ** (TIME_BYTES - 1 - i)) % 256);
const timeOfBytes = (bytes: Uint8Array): number => bytes.reduce((sum, byte) => sum * 256 + byte, 0);

export class Sessions {
  readonly #services: Services;

  constructor(services: Services) {
    this.#services = services;
  }

  challenge(): string {
    const { crypto, now } = this.#services;
    const end = now() + CHALLENGE_MS;
    const body = concatBytes(crypto.randomBytes(CHALLENGE_RANDOM_BYTES), bytesOfTime(end));
    return toHex(concatBytes(body, this.#challengeMac(body)));
  }

  /** Checks a signed login against a challenge given out before; each works once. */
  async login(untrusted: unknown, expected: string | null = null): Promise<Opened> {
    const { crypto, market, now } = this.#services;
    const parsed = parseDocumentOf(crypto, "login", untrusted);
    if (!parsed.ok) return parsed;
    const { payload, keyid } = parsed.document;
    if (payload.origin !== market.origin) return refuse("wrong_origin", { expected: market.origin, got: payload.origin });
    if (expected !== null && payload.challenge !== expected) return refuse("bad_token", { why: "the challenge is another link's" });
    const key = await this.#keyOf(keyid);
    const verified = verifySigner(parsed.document, { crypto, market, key, at: asOf(key, now()) });
    if (!verified.ok) return verified;
    if (expected === null && !(await this.#use(payload.challenge)))
      return refuse("bad_token", { why: "the challenge is unknown, over or used" });
    const { signer } = verified.document;
    if (signer.by === "operator") return { ok: true, session: { by: "operator", party: payload.party } };
    return key ? { ok: true, session: { by: "party", party: key.party, key } } : refuse("unknown_key");
  }

  async #keyOf(keyid: string): Promise<KeyRow | null> {
    return (await this.#services.store.load("key", [keyid])).get(keyid)?.data ?? null;
  }

  #challengeMac(body: Uint8Array): Uint8Array {
    const { crypto, keys } = this.#services;
    const mac = crypto.hmacSha256(keys.secret, concatBytes(utf8("challenge "), body));
    return mac.subarray(0, CHALLENGE_BYTES - CHALLENGE_BODY_BYTES);
  }

  async #use(challenge: string): Promise<boolean> {
    const bytes = fromHex(challenge);
    if (bytes?.length !== CHALLENGE_BYTES) return false;
    const body = bytes.subarray(0, CHALLENGE_BODY_BYTES);
    if (!equalBytes(bytes.subarray(CHALLENGE_BODY_BYTES), this.#challengeMac(body))) return false;
    const [end, now] = [timeOfBytes(body.subarray(CHALLENGE_RANDOM_BYTES)), this.#services.now()];
    return end > now && this.#services.store.useChallenge(challenge, end, now);
  }

  #mac(body: string): Uint8Array {
    return this.#services.crypto.hmacSha256(this.#services.keys.secret, utf8(`session ${body}`));
  }

  token(session: Session): { token: string; expiresAt: number } {
    const expiresAt = this.#services.now() + TOKEN_MS;
    const body = [session.party, session.by === "party" ? session.key.id : OPERATOR, expiresAt].join(".");
    return { token: `${body}.${toHex(this.#mac(body))}`, expiresAt };
  }

  async check(token: string | undefined): Promise<Opened> {
    const at = token?.lastIndexOf(".") ?? -1;
    if (!token || at < 0) return refuse("bad_token");
    const body = token.slice(0, at);
    const mac = fromHex(token.slice(at + 1));
    if (!mac || !equalBytes(mac, this.#mac(body))) return refuse("bad_token");
    const [party = "", keyid = "", expiresAt] = body.split(".");
    const now = this.#services.now();
    if (!(Number(expiresAt) > now)) return refuse("bad_token", { why: "expired" });
    if (keyid === OPERATOR) return { ok: true, session: { by: "operator", party } };
    const key = await this.#keyOf(keyid);
    const gone = keyRefusal(key, asOf(key, now));
    if (gone) return gone;
    return key ? { ok: true, session: { by: "party", party: key.party, key } } : refuse("unknown_key");
  }
}
