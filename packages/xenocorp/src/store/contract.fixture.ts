/** What the suites of store contracts build: changes, documents and readers. */
import type { Reader } from "./reader.ts";
import type { Change } from "./store.ts";

export const change = (over: Partial<Change> & { id: string }): Change => ({
  answer: { id: over.id },
  uniques: [],
  puts: [],
  floors: [],
  transfers: [],
  documents: [],
  events: [],
  ...over,
});

export const document = (id: string, lease: string | null = null) => ({
  id,
  kind: "stop" as const,
  lease,
  parties: ["p_1"],
  envelope: { payloadType: "t", payload: "", signatures: [{ keyid: "0".repeat(64), sig: "" }] as [{ keyid: string; sig: string }] },
  at: 5,
  salt: "ab",
  leaf: `leaf-${id}`,
});

export const reader = (party: string, over: Partial<Reader> = {}): Reader => ({
  party,
  account: null,
  label: null,
  serverKey: null,
  ...over,
});
