/** The link over a WebSocket, from the side that connects. */
import { randomFillSync } from "node:crypto";
import type { WebSocket } from "ws";
import { letGo } from "../bytes.ts";
import { connectionsOf } from "./link-socket.ts";
import type { Pipe } from "./pipe.ts";

const CONNECT_WITHIN_MS = 10_000;

/**
 * A mask keeps whoever chooses what is sent from choosing what lies on the wire. Channel bytes are ciphertext, which nobody chooses: of
 * them the mask is nothing, and neither end goes through each byte once more for it.
 */
class Masks {
  #isCiphertext = false;

  readonly make = (mask: Buffer): void => void (this.#isCiphertext ? mask.fill(0) : randomFillSync(mask));

  /** Frames that `send` makes are of ciphertext, or not: `ws` makes a message's frame at once. */
  of(isCiphertext: boolean, send: () => void): void {
    this.#isCiphertext = isCiphertext;
    try {
      send();
    } finally {
      this.#isCiphertext = false;
    }
  }
}

/** What it is made of is loaded by whoever has one: most questions need none. */
export async function connectPipe(url: string): Promise<Pipe> {
  const { WebSocket } = await import("ws");
  const target = new URL("/api/v1/link", url);
  const isSecure = target.protocol === "https:";
  const createConnection = await connectionsOf(isSecure);
  return new Promise((resolve, reject) => {
    target.protocol = isSecure ? "wss:" : "ws:";
    const masks = new Masks();
    const socket = new WebSocket(target, {
      ...{ handshakeTimeout: CONNECT_WITHIN_MS, perMessageDeflate: false, maxPayload: 1024 * 1024, generateMask: masks.make },
      createConnection,
    });
    socket.once("error", reject);
    socket.once("open", () => {
      socket.removeListener("error", reject);
      socket.on("error", () => socket.terminate());
      resolve(pipeOf(socket, masks));
    });
  });
}

function sendOn(socket: WebSocket, masks: Masks, message: string | Uint8Array): void {
  if (typeof message === "string") masks.of(false, () => socket.send(message));
  else masks.of(true, () => socket.send(message, () => letGo(message)));
}

/** The first messages can come in the same packet as the handshake's answer, before anyone listens: they wait. */
function pipeOf(socket: WebSocket, masks: Masks): Pipe {
  const early: (string | Uint8Array)[] = [];
  let isHeard = false;
  let deliver = (message: string | Uint8Array): void => void early.push(message);
  socket.on("message", (data: Buffer, binary: boolean) => {
    deliver(binary ? new Uint8Array(data.buffer, data.byteOffset, data.length) : data.toString("utf8"));
    if (isHeard) letGo(data);
  });
  return {
    send: (message) => {
      if (socket.readyState === socket.OPEN) sendOn(socket, masks, message);
    },
    close: () => socket.close(),
    drop: () => socket.terminate(),
    onMessage(handler) {
      deliver = handler;
      isHeard = true;
      for (const message of early.splice(0)) handler(message);
    },
    onClose(handler) {
      if (socket.readyState === socket.CLOSED) handler();
      else socket.once("close", (_code, why: Buffer) => handler(why.toString("utf8")));
    },
  };
}
