/**
 * What is open under each key, to be cut when the key ends: a revocation cuts at once, an expiry at its time. Who controls the inputs:
 * whoever holds a key opens things; its party's root key, and its grant, end it. Bounds: whoever opens something bounds how many there are.
 */
import { refuse, type Refusal } from "@xenoservers/protocol";
import type { Timers } from "@xenoservers/protocol/link";
import type { KeyRow } from "../store/store.ts";

type Cut = (why: Refusal) => void;

/** Timers of a system hold no longer than this. */
const WAIT_MAX_MS = 86_400_000;

export class LiveKeys {
  readonly #timers: Timers;
  /** Broker time. */
  readonly #now: () => number;
  readonly #open = new Map<string, Set<Cut>>();

  constructor(timers: Timers, now: () => number) {
    this.#timers = timers;
    this.#now = now;
  }

  /** How much is open under a key. */
  count(key: string): number {
    return this.#open.get(key)?.size ?? 0;
  }

  /** Has `cut` called once when the key ends; what is returned lets go of it. */
  hold({ id, expiresAt }: Pick<KeyRow, "id" | "expiresAt">, cut: Cut): () => void {
    const held = this.#open.get(id) ?? new Set();
    this.#open.set(id, held.add(cut));
    let callOff = (): void => {};
    const letGo = (): void => {
      callOff();
      held.delete(cut);
      if (held.size === 0 && this.#open.get(id) === held) this.#open.delete(id);
    };
    const watch = (end: number): void => {
      const left = end - this.#now();
      const expire = (): void => {
        letGo();
        cut(refuse("key_expired", { key: id, expiresAt: end }));
      };
      callOff = this.#timers.after(Math.min(Math.max(0, left), WAIT_MAX_MS), () => (end <= this.#now() ? expire() : watch(end)));
    };
    if (expiresAt !== null) watch(expiresAt);
    return letGo;
  }

  revoked(key: string): void {
    const held = [...(this.#open.get(key) ?? [])];
    this.#open.delete(key);
    for (const cut of held) cut(refuse("key_revoked", { key }));
  }
}
