/** By itself, for a page has this one alone: a client that hears it waits before it comes again. */
export const REPLACED = "the same server has logged in elsewhere: is a copy of its data folder in use? Enrol each machine by itself";

/** Why a broker ends a link of its own accord, as a WebSocket close (RFC 6455 section 7.4.1): a code, and words for whoever reads it. */
export const CLOSINGS = {
  malformed: { code: 1008, says: "a message came that is none of the protocol: upgrade with `npm install -g xenoservers@latest`" },
  "not-logged-in": { code: 1008, says: "there was no login in time, or more than one" },
  "too-many-links": { code: 1008, says: "this key, party or address has as many links as it may: close some" },
  "too-much": { code: 1008, says: "this party says much more than it may: 500 documents a second, for a while twice as many" },
  silent: { code: 1008, says: "nothing was heard from this end in time: it hung, or its connection was gone. Connect again" },
  "half-message": { code: 1008, says: "a message was begun and did not come to its end in time" },
  "not-reading": { code: 1008, says: "what was sent here was not read in time: read faster, or follow less at once" },
  replaced: { code: 1008, says: REPLACED },
  refused: { code: 1008, says: "the identity is refused here: see the message before" },
  "no-room": { code: 1013, says: "the broker has no more room for this now: try again later" },
  unavailable: { code: 1013, says: "the broker cannot reach its database: try again later" },
  closing: { code: 1001, says: "the broker ends: connect again" },
} as const satisfies Record<string, { code: number; says: string }>;

export type Closing = keyof typeof CLOSINGS;
