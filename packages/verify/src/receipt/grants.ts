/**
 * The public documents of a receipt that gave a key its role: its own grant, and those of whoever granted it, up to the party's first
 * document. Who controls the inputs: whoever signed each; only what the key book has learned is handed in.
 */
import type { AnyDocument } from "@xenoservers/protocol";
import type { Rest } from "./line.ts";
import type { Entry } from "./opened.ts";

interface Grant {
  rest: Rest;
  /** The key that signed it. */
  granter: string;
  party: string;
}

/** The key that a document gives a role; null where it gives none. */
function givenBy(document: AnyDocument): { key: string; party: string } | null {
  switch (document.kind) {
    case "party":
      return { key: document.payload.rootKey, party: document.payload.party };
    case "key-grant":
      return { key: document.payload.key, party: document.payload.party };
    case "key-rotate":
      return { key: document.payload.newRootKey, party: document.payload.party };
    default:
      return null;
  }
}

export class Grants {
  readonly #byKey = new Map<string, Grant[]>();
  readonly #first = new Map<string, Rest>();

  /** `by`: the role of the key that signed it. */
  learn({ document, index }: Entry, by: string): void {
    const given = givenBy(document);
    if (given === null) return;
    const rest: Rest = { kind: document.kind, id: document.id, by, index, grant: true };
    this.#byKey.set(given.key, [...(this.#byKey.get(given.key) ?? []), { rest, granter: document.keyid, party: given.party }]);
    if (document.kind === "party" && !this.#first.has(given.party)) this.#first.set(given.party, rest);
  }

  /** What gave the key its role, the first last; one that is missing where nothing here did. */
  of(key: string): Rest[] {
    const rests = new Map<string, Rest>();
    const add = (each: string): void => {
      for (const { rest, granter, party } of this.#byKey.get(each) ?? []) {
        if (rest.id === null || rests.has(rest.id)) continue;
        rests.set(rest.id, rest);
        // a recovery key has its role from its party's first document alone
        const first = this.#first.get(party);
        if (first?.id) rests.set(first.id, first);
        add(granter);
      }
    };
    add(key);
    return rests.size > 0 ? [...rests.values()] : [{ kind: "key-grant", id: null, by: `of ${key.slice(0, 12)}`, index: null, grant: true }];
  }
}
