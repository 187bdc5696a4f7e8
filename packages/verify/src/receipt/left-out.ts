/**
 * What a receipt's documents name of its lease and the receipt does not hold: a claim in the chain, an acceptance, the result that was
 * settled. Told where it would be spoken of, so that nothing below is believed. Who controls the input: whoever hands over the file.
 */
import type { FactKind } from "@xenoservers/market";
import type { AnyDocument } from "@xenoservers/protocol";
import { CHECK_OF, type Check } from "./lines.ts";

type Named = readonly [kind: FactKind, id: string];

/** The lease's documents that a document names. A commitment's result may stay unshown; an extension is embedded in its amendment. */
function namedIn(document: AnyDocument): readonly Named[] {
  switch (document.kind) {
    case "opening":
      return [["acceptance", document.payload.acceptance]];
    case "claim":
      return [[document.payload.sequence === 1 ? "opening" : "claim", document.payload.previous]];
    case "claim-receipt":
      return [["claim", document.payload.claim]];
    case "result":
      return [["claim", document.payload.lastClaim]];
    case "delivery":
      return [["result", document.payload.result]];
    case "closing":
      return document.payload.lastClaim === null ? [] : [["claim", document.payload.lastClaim]];
    case "settlement": {
      const { closing, result } = document.payload;
      return [["closing", closing], ...(result === null ? [] : [["result", result] as const])];
    }
    case "extension":
    case "amendment":
      return [["amendment", document.payload.previous]];
    case "move":
      return [["move", document.payload.previous]];
    case "trace":
      return [["trace-request", document.payload.request]];
    default:
      return [];
  }
}

const ID_SHOWN = 12;
/** A claim is named by what comes right after it: so many ids of claims are remembered. */
const CLAIMS_KEPT = 64;
/** So many names of what was not heard yet are remembered for each line. */
const NAMED_MAX = 64;

/** Hears the documents one by one, in the log's order. */
export class LeftOut {
  readonly #lease: string;
  readonly #held = new Set<string>();
  readonly #claims: string[] = [];
  /** By line, and then by id. */
  readonly #unheard = new Map<Check, Map<string, string>>();

  constructor(lease: string) {
    this.#lease = lease;
  }

  hear(document: AnyDocument): void {
    this.#hold(document);
    const isItsOwn = "lease" in document.payload && document.payload.lease === this.#lease;
    for (const [kind, id] of isItsOwn ? namedIn(document) : []) {
      if (this.#held.has(id)) continue;
      const unheard = this.#unheard.get(CHECK_OF[kind]) ?? new Map<string, string>();
      this.#unheard.set(CHECK_OF[kind], unheard);
      // beyond these one stays that nothing can be heard of any more
      const name = unheard.size < NAMED_MAX ? id : "";
      if (!unheard.has(name)) unheard.set(name, `the ${kind} ${id.slice(0, ID_SHOWN)}, which the ${document.kind} names, is left out`);
    }
  }

  #hold({ kind, id }: AnyDocument): void {
    for (const unheard of this.#unheard.values()) unheard.delete(id);
    this.#held.add(id);
    if (kind !== "claim") return;
    this.#claims.push(id);
    if (this.#claims.length > CLAIMS_KEPT) this.#held.delete(this.#claims.shift() ?? "");
  }

  /** In words, by the line that would speak of it; the first of each line. */
  get missing(): ReadonlyMap<Check, string> {
    const found = [...this.#unheard].flatMap(([check, unheard]) => [...unheard.values()].slice(0, 1).map((why) => [check, why] as const));
    return new Map(found);
  }
}
