/**
 * Who may read: a challenge is signed once, the answer is a short-lived token. Tokens are stateless (HMAC by the broker's secret over party, key
 * and expiry); revoked keys are looked up at every use.
 */
import { equalBytes, fromHex, parseDocumentOf, refuse, toHex, utf8, type Refusal } from "@xenoservers/protocol";
import { keyRefusal } from "../desk/caller.ts";
import type { Services } from "../desk/round.ts";
import type { KeyRow } from "../store/store.ts";

const TOKEN_MS = 15 * 60_000;
const CHALLENGE_MS = 60_000;
const CHALLENGES_MAX = 100_000;

export interface Session {
  party: string;
  key: KeyRow | null;
  /** Speaks with the operator's key; has no party of its own. */
  operator: boolean;
}

export class Sessions {
  readonly #desk: Services;
  readonly #challenges = new Map<string, number>();

  constructor(desk: Services) {
    this.#desk = desk;
  }

  challenge(): string {
    const now = this.#desk.now();
    for (const [known, expiresAt] of this.#challenges) {
      if (expiresAt > now && this.#challenges.size < CHALLENGES_MAX) break;
      this.#challenges.delete(known);
    }
    const challenge = toHex(this.#desk.crypto.randomBytes(32));
    this.#challenges.set(challenge, now + CHALLENGE_MS);
    return challenge;
  }

  /** Checks a signed login against a challenge given out before; each works once. */
  async login(untrusted: unknown, expected: string | null = null): Promise<({ ok: true } & Session) | Refusal> {
    const { crypto, config, store } = this.#desk;
    const parsed = parseDocumentOf(crypto, "login", untrusted);
    if (!parsed.ok) return parsed;
    const { payload, keyid } = parsed.document;
    if (payload.origin !== config.origin) return refuse("wrong_origin", { expected: config.origin, got: payload.origin });
    if (expected === null ? !this.#use(payload.challenge) : payload.challenge !== expected)
      return refuse("bad_token", { why: "the challenge is unknown or used" });
    if (keyid === config.operatorKey) return { ok: true, party: payload.party, key: null, operator: true };
    const key = (await store.load("key", [keyid])).get(keyid)?.data ?? null;
    const refusal = keyRefusal(key, this.#desk.now());
    if (refusal) return refusal;
    if (key!.party !== payload.party) return refuse("not_yours", { party: payload.party });
    if (key!.role === "enrol") return refuse("key_not_allowed", { kind: "login", role: "enrol" });
    return { ok: true, party: key!.party, key: key!, operator: false };
  }

  #use(challenge: string): boolean {
    const expiresAt = this.#challenges.get(challenge);
    this.#challenges.delete(challenge);
    return expiresAt !== undefined && expiresAt > this.#desk.now();
  }

  #mac(body: string): string {
    return toHex(this.#desk.crypto.hmacSha256(this.#desk.keys.secret, utf8(`session ${body}`)));
  }

  token(session: Session): { token: string; expiresAt: number } {
    const expiresAt = this.#desk.now() + TOKEN_MS;
    const body = [session.party, session.key?.id ?? "operator", expiresAt].join(".");
    return { token: `${body}.${this.#mac(body)}`, expiresAt };
  }

  async check(token: string | undefined): Promise<({ ok: true } & Session) | Refusal> {
    const at = token?.lastIndexOf(".") ?? -1;
    if (!token || at < 0) return refuse("bad_token");
    const body = token.slice(0, at);
    const mac = fromHex(token.slice(at + 1));
    if (!mac || !equalBytes(mac, fromHex(this.#mac(body))!)) return refuse("bad_token");
    const [party, keyid, expiresAt] = body.split(".") as [string, string, string];
    if (Number(expiresAt) <= this.#desk.now()) return refuse("bad_token", { why: "expired" });
    if (keyid === "operator") return { ok: true, party, key: null, operator: true };
    const key = (await this.#desk.store.load("key", [keyid])).get(keyid)?.data ?? null;
    const refusal = keyRefusal(key, this.#desk.now());
    return refusal ?? { ok: true, party, key: key!, operator: false };
  }
}
