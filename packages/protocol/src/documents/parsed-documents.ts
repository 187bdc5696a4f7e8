/**
 * Documents that were read and whose signature was right, by all of their envelope's text: a purchase order holds its order and its offer,
 * and everybody who acts on it reads them, many times in one program. Of the same text the same comes again, down to the last letter; what
 * was refused is not kept. Nobody can change what all of them get. Who controls the inputs: anyone who can sign, which is anyone.
 */
import type { Envelope } from "./parts.ts";

/** Of envelopes' text, about a fifth of what their documents take. */
const KEPT_CHARS_MAX = 2 * 1024 * 1024;
/** Longer ones are few, and each would take the place of many. */
const EACH_CHARS_MAX = 32 * 1024;

/** All parts of it, none of which has a line's end in it: two envelopes have one text only where they are the same. */
const textOf = ({ payloadType, payload, signatures: [{ keyid, sig }] }: Envelope): string => `${payloadType}\n${keyid}\n${sig}\n${payload}`;

function freeze(value: unknown): void {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return;
  Object.freeze(value);
  for (const member of Object.values(value)) freeze(member);
}

export class ParsedDocuments<D extends { envelope: Envelope }> {
  readonly #kept = new Map<string, D>();
  #chars = 0;

  of(envelope: Envelope): D | null {
    return this.#kept.get(textOf(envelope)) ?? null;
  }

  keep(document: D): void {
    const text = textOf(document.envelope);
    if (text.length > EACH_CHARS_MAX) return;
    freeze(document);
    if (this.#chars + text.length > KEPT_CHARS_MAX) {
      this.#kept.clear();
      this.#chars = 0;
    }
    this.#kept.set(text, document);
    this.#chars += text.length;
  }
}
