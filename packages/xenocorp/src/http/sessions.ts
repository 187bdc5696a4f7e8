/**
 * Who may read: a challenge is signed once, the answer is a short-lived token. Tokens are stateless (HMAC by the broker's secret over
 * party, key and expiry); the key is looked up at every use, so that one that was revoked or has expired reads nothing more. Who controls
 * the inputs: anyone. Bounds: challenges that wait for their answer.
 */
import { equalBytes, fromHex, keyRefusal, parseDocumentOf, refuse, toHex, utf8, verifySigner, type Refusal } from "@xenoservers/protocol";
import type { Services } from "../desk/round.ts";
import type { Reader } from "../store/reader.ts";
import type { KeyRow } from "../store/store.ts";

const TOKEN_MS = 15 * 60_000;
const CHALLENGE_MS = 60_000;
const CHALLENGES_MAX = 100_000;
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

export class Sessions {
  readonly #services: Services;
  readonly #challenges = new Map<string, number>();

  constructor(services: Services) {
    this.#services = services;
  }

  challenge(): string {
    const now = this.#services.now();
    for (const [known, expiresAt] of this.#challenges) {
      if (expiresAt > now && this.#challenges.size < CHALLENGES_MAX) break;
      this.#challenges.delete(known);
    }
    const challenge = toHex(this.#services.crypto.randomBytes(32));
    this.#challenges.set(challenge, now + CHALLENGE_MS);
    return challenge;
  }

  /** Checks a signed login against a challenge given out before; each works once. */
  async login(untrusted: unknown, expected: string | null = null): Promise<Opened> {
    const { crypto, market, now } = this.#services;
    const parsed = parseDocumentOf(crypto, "login", untrusted);
    if (!parsed.ok) return parsed;
    const { payload, keyid } = parsed.document;
    if (payload.origin !== market.origin) return refuse("wrong_origin", { expected: market.origin, got: payload.origin });
    if (expected === null ? !this.#use(payload.challenge) : payload.challenge !== expected)
      return refuse("bad_token", { why: "the challenge is unknown or used" });
    const key = await this.#keyOf(keyid);
    const verified = verifySigner(parsed.document, { crypto, market, key, at: asOf(key, now()) });
    if (!verified.ok) return verified;
    const { signer } = verified.document;
    if (signer.by === "operator") return { ok: true, session: { by: "operator", party: payload.party } };
    return key ? { ok: true, session: { by: "party", party: key.party, key } } : refuse("unknown_key");
  }

  async #keyOf(keyid: string): Promise<KeyRow | null> {
    return (await this.#services.store.load("key", [keyid])).get(keyid)?.data ?? null;
  }

  #use(challenge: string): boolean {
    const expiresAt = this.#challenges.get(challenge);
    this.#challenges.delete(challenge);
    return expiresAt !== undefined && expiresAt > this.#services.now();
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
