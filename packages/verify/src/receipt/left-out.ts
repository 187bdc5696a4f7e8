/**
 * What a receipt's documents name of its lease and the receipt does not hold: a claim in the chain, an acceptance, the result that was
 * settled. Told where it would be spoken of, so that nothing below is believed. Who controls the input: whoever hands over the file.
 */
import type { FactKind } from "@xenoservers/market";
import type { AnyDocument } from "@xenoservers/protocol";
import { CHECK_OF, type Check } from "./lines.ts";
import type { Entry } from "./opened.ts";

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

/** In words, by the line that would speak of it; the first of each line. */
export function leftOut(lease: string, entries: readonly Entry[]): ReadonlyMap<Check, string> {
  const held = new Set(entries.map(({ document }) => document.id));
  const missing = new Map<Check, string>();
  for (const { document } of entries) {
    const isItsOwn = "lease" in document.payload && document.payload.lease === lease;
    for (const [kind, id] of isItsOwn ? namedIn(document) : []) {
      const check = CHECK_OF[kind];
      if (held.has(id) || missing.has(check)) continue;
      missing.set(check, `the ${kind} ${id.slice(0, ID_SHOWN)}, which the ${document.kind} names, is left out`);
    }
  }
  return missing;
}
