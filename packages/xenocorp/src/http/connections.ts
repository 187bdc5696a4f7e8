/**
 * Connections, whatever comes over them: how many an address has, and how many requests wait for their answers on each. Who controls the
 * inputs: anyone. Bounds: those of door.ts; what a connection may have unanswered, before anything but its headers was looked at.
 */
import { letGo } from "@xenoservers/protocol";
import type { RequestListener, Server } from "node:http";
import type { Socket } from "node:net";
import type { Timers } from "@xenoservers/protocol/link";
import { stopReading } from "./stop-reading.ts";
import type { Callers } from "./caller.ts";
import { PIPELINE_CUT_COST, type Door } from "./door.ts";

/** Requests that one connection may have sent before the first of them is answered. Browsers and our own clients send one. */
const UNANSWERED_MAX = 16;
/** Less than a hundred of the shortest requests. */
const SLICE_BYTES = 4 * 1024;
/** Then it is heard, and told that it can pay for nothing. */
const RESTS_MS_MAX = 2_000;

/**
 * Cuts a connection that sends request after request and waits for no answer: each would be kept until those before it are answered. A
 * piece that the kernel hands over holds a thousand; the parser goes through all of them, and they are the address's to pay.
 */
export function boundPipelines(handler: RequestListener, door: Pick<Door, "charge">, who: Callers): RequestListener {
  const unanswered = new WeakMap<Socket, number>();
  return (request, response) => {
    const { socket } = request;
    if (socket.destroyed) return;
    const waiting = (unanswered.get(socket) ?? 0) + 1;
    if (waiting > UNANSWERED_MAX) {
      door.charge(who.of(request), null, PIPELINE_CUT_COST);
      return void socket.destroy();
    }
    unanswered.set(socket, waiting);
    response.once("close", () => unanswered.set(socket, (unanswered.get(socket) ?? 1) - 1));
    handler(request, response);
  };
}

/** Those of one address have its places, and are not heard while it owes. A proxy's are bounded in all only. */
export function boundConnections(server: Server, door: Pick<Door, "take" | "owedMs">, who: Callers, timers: Timers): void {
  const slices = new Slices(server);
  server.on("connection", (socket) => {
    const caller = who.isProxy(socket.remoteAddress) ? null : who.of({ socket, headers: {} });
    if (caller === null) return slices.hear(socket);
    const leave = door.take("connections", caller);
    if (!leave) return void socket.destroy();
    socket.once("close", leave);
    slices.hear(socket);
    const restsMs = Math.min(door.owedMs(caller, null), RESTS_MS_MAX);
    if (restsMs > 0) rest(socket, restsMs, timers);
  });
}

const deaf = new WeakSet<Socket>();

/** Lets go of what comes on a connection that stays for its answer only. */
export function hearNoMore(socket: Socket): void {
  deaf.add(socket);
  // it begins to read again where a body is thrown away
  setImmediate(() => stopReading(socket));
}

/**
 * Gives the parser what comes in slices, and none once the connection is paused or cut: of a piece it goes through all requests, whatever
 * became of the first, and makes objects of several KiB for each.
 */
class Slices {
  readonly #readers = new WeakMap<Socket, (bytes: Buffer) => void>();

  constructor(server: Server) {
    // from then on what comes is no request
    server.prependListener("upgrade", ({ socket }) => this.#leave(socket));
  }

  hear(socket: Socket): void {
    const [parse, ...others] = socket.listeners("data");
    if (!parse || others.length > 0) return;
    const read = (bytes: Buffer): void => {
      for (let at = 0; at < bytes.length && !socket.destroyed; at += SLICE_BYTES) {
        if (deaf.has(socket)) break;
        if (socket.isPaused() || !this.#readers.has(socket)) return void socket.unshift(bytes.subarray(at));
        parse.call(socket, bytes.subarray(at, at + SLICE_BYTES));
      }
      if (this.#readers.has(socket)) letGo(bytes);
    };
    this.#readers.set(socket, read);
    socket.off("data", parse as () => void).on("data", read);
  }

  #leave(socket: Socket): void {
    const read = this.#readers.get(socket);
    if (read) socket.off("data", read);
    this.#readers.delete(socket);
  }
}

function rest(socket: Socket, ms: number, timers: Timers): void {
  // it begins to read once everybody has heard of it
  setImmediate(() => socket.pause());
  socket.once(
    "close",
    timers.after(ms, () => void socket.resume()),
  );
}
