/**
 * Reads a request's body as far as it may be long: it must come within its time and keep coming, and what has come counts in the memory's
 * share for bodies. Who controls the inputs: anyone, every byte and when it comes.
 */
import type { Readable } from "node:stream";
import { letGo, refuse, type Refusal } from "@xenoservers/protocol";
import type { MemoryShare } from "@xenoservers/protocol/link";

interface BodyBounds {
  bytesMax: number;
  /** Where what has come is counted. */
  share: MemoryShare;
  /** In all. */
  withinMs: number;
}

type Read = { ok: true; bytes: Buffer } | Refusal;

export const noRoom = (): Refusal =>
  refuse("overloaded", { retryAfterMs: 5_000, why: "too much is on its way through this broker's memory now" });

/** The bytes and what lets go of them; nothing is held where it is refused. */
export function readBody(body: Readable, { bytesMax, share, withinMs }: BodyBounds): Promise<{ read: Read; free: () => void }> {
  return new Promise((resolve) => {
    const pieces: Uint8Array[] = [];
    let size = 0;
    const held = share.hold(() => end(noRoom()));
    const timer = setTimeout(() => end(refuse("too_slow", { withinMs, path: "body" })), withinMs);
    const end = (read: Read): void => {
      clearTimeout(timer);
      for (const piece of pieces.splice(0)) letGo(piece);
      body.off("data", take).off("end", whole).off("error", cutOff).off("close", cutOff);
      body.on("error", () => {});
      if (!read.ok) held.end();
      resolve({ read, free: () => held.end() });
    };
    const take = (piece: Uint8Array): void => {
      size += piece.length;
      if (size > bytesMax) return end(refuse("body_too_large", { bytesMax }));
      if (!held.add(piece.length)) return end(noRoom());
      pieces.push(piece);
    };
    const whole = (): void => end({ ok: true, bytes: Buffer.concat(pieces) });
    const cutOff = (): void => end(refuse("bad_request", { path: "body", why: "the body was cut off" }));
    body.on("data", take).on("end", whole).on("error", cutOff).on("close", cutOff);
  });
}
