/** A stream in a lease's channel by the web's own streams, which a page and Node both have. Who controls the inputs: the guest. */
import type { ByteDuplex } from "@xenoservers/protocol/channel";
import { Wire } from "./wire.ts";

/** Both directions of a connection: one may end before the other. */
export interface ByteStreams {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
}

/** What is held for whoever does not read. */
const HELD_BYTES_MAX = 64 * 1024;

/** What comes, for one reader; whoever does not read stops it. */
export class Incoming {
  readonly readable: ReadableStream<Uint8Array>;
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  #room: (() => void) | null = null;
  #isOver = false;

  /** `cancelled`: nobody reads it any more. */
  constructor(cancelled: () => void = () => {}) {
    this.readable = new ReadableStream<Uint8Array>(
      {
        start: (controller) => void (this.#controller = controller),
        pull: () => this.#goOn(),
        cancel: () => {
          this.#over();
          cancelled();
        },
      },
      { highWaterMark: HELD_BYTES_MAX, size: ({ length }) => length },
    );
  }

  #goOn(): void {
    const room = this.#room;
    this.#room = null;
    room?.();
  }

  #over(): boolean {
    const wasOver = this.#isOver;
    this.#isOver = true;
    this.#goOn();
    return wasOver;
  }

  /** Waits until there is room for more. */
  add(bytes: Uint8Array): void | Promise<void> {
    if (this.#isOver) return;
    this.#controller.enqueue(bytes.slice()); // whoever reads it may give its memory away
    if ((this.#controller.desiredSize ?? 1) <= 0) return new Promise((resolve) => (this.#room = resolve));
  }

  end(): void {
    if (!this.#over()) this.#controller.close();
  }

  fail(why: Error): void {
    if (!this.#over()) this.#controller.error(why);
  }
}

/** `join`: hands it to the channel. */
export async function byteStreams(join: (stream: ByteDuplex) => Promise<void>): Promise<ByteStreams> {
  let outgoing!: WritableStreamDefaultController;
  const incoming = new Incoming(() => void wire.destroy());
  const wire = new Wire({
    take: (bytes) => incoming.add(bytes),
    ended: () => incoming.end(),
    closed(why) {
      if (why) incoming.fail(why);
      else incoming.end();
      outgoing.error(why ?? new Error("the connection has ended"));
    },
  });
  const writable = new WritableStream<Uint8Array>({
    start: (controller) => void (outgoing = controller),
    write: (bytes) => wire.say(Uint8Array.from(bytes)),
    close: () => wire.sayEnd(),
    abort: () => void wire.destroy(new Error("the connection was reset")),
  });
  await join(wire);
  return { readable: incoming.readable, writable };
}
