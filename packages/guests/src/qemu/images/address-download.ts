/**
 * An image on its way from an address into a file: what goes wrong in passing is tried again, and goes on where it broke off if the other
 * side can (RFC 9110, 14: ranges). A slot waits meanwhile, so it is tried a few times only. Who controls the inputs: the other side, every
 * byte, and when they come.
 */
import { createHash, type Hash } from "node:crypto";
import { open } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { Refusal } from "../refusal.ts";
import { Pace } from "./pace.ts";

/** In a row, without a byte of progress between them. */
const TRIES_MAX = 4;
const FIRST_WAIT_MS = 1_000;
/** Of what the other side asks to wait; who asks for more is not waited for. */
const ASKED_MS_MAX = 60_000;
const MIB = 1_048_576;

/** What may go well when it is tried again. */
export class Passing extends Error {
  override name = "Passing";
  readonly askedMs: number | null;
  /** What is there cannot be gone on with. */
  readonly anew: boolean;

  constructor(why: string, { retryAfter, anew = false }: { retryAfter?: string | undefined; anew?: boolean } = {}) {
    super(why);
    this.anew = anew;
    this.askedMs = retryAfter !== undefined && /^\d{1,9}$/.test(retryAfter) ? Number(retryAfter) * 1_000 : null;
  }
}

interface Address {
  /** From that byte on; the whole where it cannot. Throws Refusal, Passing, or what a connection throws. */
  ask(from: number): Promise<IncomingMessage>;
  /** Throws where nobody wants it any more. */
  wait(ms: number): Promise<void>;
  /** Ms of a clock that is never set. */
  now(): number;
  bytesMax: number;
}

/** What fails in keeping bytes is this host's doing; what fails in getting them is that of whoever named the address. */
export const isOwnDisk = (error: unknown): boolean =>
  error instanceof Error && "syscall" in error && ["open", "write", "chmod", "rename", "mkdir", "close"].includes(String(error.syscall));

interface Begun {
  size: number;
  hash: Hash;
}

const nothing = (): Begun => ({ size: 0, hash: createHash("sha256") });

/** The rest of what was begun, or all of it anew; where its bytes end too soon, what is there has been counted. */
async function take(response: IncomingMessage, part: string, begun: Begun, bytesMax: number, pace: Pace): Promise<void> {
  const from = /^bytes (\d{1,15})-/.exec(response.headers["content-range"] ?? "")?.[1];
  if (response.statusCode !== 206 || Number(from) !== begun.size) {
    if (response.statusCode === 206) {
      response.destroy();
      throw new Passing("the address gives another piece than was asked for", { anew: true });
    }
    Object.assign(begun, nothing());
  }
  const handle = await open(part, begun.size === 0 ? "w" : "r+", 0o600);
  try {
    for await (const chunk of response) {
      if (!Buffer.isBuffer(chunk)) throw new Error("an answer came as something else than bytes");
      pace.check(chunk.length);
      if (begun.size + chunk.length > bytesMax)
        throw new Refusal(
          "limits",
          `the image at that address is larger than the disk that was ordered (${Math.floor(bytesMax / MIB)} MiB): order more with --disk`,
        );
      await handle.write(chunk, 0, chunk.length, begun.size);
      begun.hash.update(chunk);
      begun.size += chunk.length;
    }
  } finally {
    await handle.close();
    response.destroy();
  }
}

/** The digest of what is in the file then. Throws Refusal, what keeping the bytes throws, and the last that went wrong. */
export async function downloadTo(part: string, { ask, wait, now, bytesMax }: Address): Promise<string> {
  const begun = nothing();
  const pace = new Pace(now);
  let most = 0;
  for (let tries = 1; ; tries++) {
    try {
      await take(await ask(begun.size), part, begun, bytesMax, pace);
      return begun.hash.digest("hex");
    } catch (error) {
      if (error instanceof Refusal || isOwnDisk(error)) throw error;
      const { askedMs, anew } = error instanceof Passing ? error : { askedMs: null, anew: false };
      if (begun.size > most) tries = 1;
      most = Math.max(most, begun.size);
      if (anew) Object.assign(begun, nothing());
      pace.check(0);
      if (tries >= TRIES_MAX || (askedMs !== null && (askedMs > ASKED_MS_MAX || !pace.mayAsk(askedMs)))) throw error;
      await wait(askedMs ?? FIRST_WAIT_MS * 2 ** (tries - 1));
      if (askedMs !== null) pace.waited(askedMs);
    }
  }
}
