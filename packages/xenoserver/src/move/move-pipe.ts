/**
 * A message pipe over TCP between two servers of one owner, as a WebSocket is one between a server and its broker: each message is its
 * length, whether it is text, and its bytes. Who controls the inputs: whoever is at the other end.
 */
import type { Socket } from "node:net";
import { parseUtf8 } from "@xenoservers/protocol";
import type { Pipe } from "@xenoservers/protocol/link";

/** A packet of a channel, or an offer in clear. */
const MESSAGE_BYTES_MAX = 256 * 1024;
const HEAD_BYTES = 5;
const TEXT = 1;
/** What waits to be sent, of who reads nothing. */
const WAITING_BYTES_MAX = 64 * 1024 * 1024;
/** An end that reads nothing does not hold what was sent to it last. */
const CLOSES_WITHIN_MS = 10_000;
/** An end that has gone without a word is found out. */
const KEEP_ALIVE_MS = 10_000;

function framed(message: string | Uint8Array): [head: Buffer, body: Uint8Array] {
  const body = typeof message === "string" ? Buffer.from(message) : message;
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32BE(body.length);
  head[4] = typeof message === "string" ? TEXT : 0;
  return [head, body];
}

export function movePipe(socket: Socket): Pipe {
  let handler: (message: string | Uint8Array) => void = () => {};
  let closed: (why?: string) => void = () => {};
  let why: string | undefined;
  const head = Buffer.alloc(HEAD_BYTES);
  /** Null while it is the head that comes. */
  let body: Uint8Array | null = null;
  let filled = 0;
  socket.setKeepAlive(true, KEEP_ALIVE_MS);
  socket.setNoDelay(true);

  function fail(problem: string): void {
    why ??= problem;
    socket.destroy();
  }

  function whole(bytes: Uint8Array): void {
    const message = head[4] === TEXT ? parseUtf8(bytes) : bytes;
    if (message === null) return fail("a text is no text");
    handler(message);
  }

  /** Each byte is put in its place once, however few come at a time. */
  function take(bytes: Buffer): void {
    for (let at = 0; at < bytes.length && !socket.destroyed;) {
      const into: Uint8Array = body ?? head;
      const taken = bytes.copy(into, filled, at);
      at += taken;
      filled += taken;
      if (filled < into.length) return;
      filled = 0;
      if (body === null) {
        const length = head.readUInt32BE();
        if (length > MESSAGE_BYTES_MAX) return fail("a message is too long");
        body = new Uint8Array(length);
        if (length > 0) continue;
      }
      const message = body;
      body = null;
      whole(message);
    }
  }

  socket.on("data", take);
  socket.on("error", (error) => (why ??= error.message));
  socket.once("close", () => closed(why));
  return {
    send(message) {
      if (socket.destroyed || socket.writableEnded) return;
      const [head, body] = framed(message);
      socket.write(head);
      socket.write(body);
      if (socket.writableLength > WAITING_BYTES_MAX) fail("the other end takes nothing");
    },
    close() {
      socket.end(() => socket.destroy());
      setTimeout(() => socket.destroy(), CLOSES_WITHIN_MS).unref();
    },
    onMessage: (told) => (handler = told),
    onClose: (told) => (closed = told),
  };
}
