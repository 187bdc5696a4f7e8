/**
 * Signatures that were right, each as the digest of key, signature and message: a document is checked by everybody who acts on it, several
 * times in one program. Wrong ones are not kept.
 */
const KEPT_MAX = 4_096;

export class RightSignatures {
  readonly #kept = new Set<string>();

  /** `id`: the digest. */
  isRight(id: string, check: () => boolean): boolean {
    if (this.#kept.has(id)) return true;
    if (!check()) return false;
    if (this.#kept.size >= KEPT_MAX) this.#kept.clear();
    this.#kept.add(id);
    return true;
  }
}
