/**
 * A session on a domain's console (init/sessions.pl): nothing on a console says who is at its other end, so a beginning is said until the
 * guest has answered it. From then on what is written has the byte of such words doubled, and what comes is what the guest says. Who
 * controls the inputs: the guest, every byte that comes, which is looked through for the answer and not kept.
 */
import { randomBytes } from "node:crypto";
import { Duplex } from "node:stream";
import { QmpError } from "../qemu/machine/qmp.ts";

const ESCAPE = 0x10;
const TOKEN_BYTES = 8;
/** Between two beginnings said: a console that nobody has open yet may forget the first. */
const AGAIN_MS = 1_000;

function escaped(bytes: Uint8Array): Uint8Array {
  const out = Buffer.alloc(2 * bytes.length);
  let at = 0;
  for (const byte of bytes) {
    if (byte === ESCAPE) out[at++] = ESCAPE;
    out[at++] = byte;
  }
  return out.subarray(0, at);
}

class ConsoleSession extends Duplex {
  readonly #wire: Duplex;

  constructor(wire: Duplex) {
    super();
    this.#wire = wire;
    wire.on("data", (bytes: Buffer) => this.push(bytes) || wire.pause());
    wire.once("close", () => this.destroy());
    this.on("error", () => {}); // its close says enough
    wire.pause();
  }

  override _read(): void {
    this.#wire.resume();
  }

  override _write(bytes: Buffer, _: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#wire.write(escaped(bytes), done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#wire.destroy();
    done(error);
  }
}

/** Paused. Rejects, with the wire destroyed, where the guest does not answer within that time (null: any), or the wire ends. */
export function beginSession(wire: Duplex, ms: number | null): Promise<Duplex> {
  const word = Buffer.concat([Buffer.of(ESCAPE), Buffer.from(`S${randomBytes(TOKEN_BYTES).toString("hex")}`)]);
  // each answer is a line, for those that come after the first stand before what the guest says next
  const answer = Buffer.concat([word, Buffer.from("\n")]);
  const say = (): void => {
    if (wire.writableLength === 0) wire.write(word);
  };
  return new Promise((resolve, reject) => {
    let tail = Buffer.alloc(0);
    const over = (): void => {
      clearInterval(again);
      clearTimeout(late);
      wire.off("data", heard).off("close", closed).pause();
    };
    const failed = (why: string): void => {
      over();
      wire.destroy();
      reject(new QmpError(why));
    };
    const heard = (part: Buffer): void => {
      const all = Buffer.concat([tail, part]);
      const found = all.indexOf(answer);
      tail = all.subarray(-(answer.length - 1));
      if (found < 0) return;
      over();
      const rest = all.subarray(found + answer.length);
      if (rest.length > 0) wire.unshift(rest);
      resolve(new ConsoleSession(wire));
    };
    const closed = (): void => failed("the domain's console closed");
    const again = setInterval(say, AGAIN_MS);
    const late = ms === null ? undefined : setTimeout(() => failed("nothing in the guest answers on its console"), ms);
    if (wire.destroyed) return closed();
    wire.on("data", heard).once("close", closed).resume();
    say();
  });
}
