/** The link over a WebSocket, from the side that connects. */
import { WebSocket } from "ws";
import type { Pipe } from "./pipe.ts";

const CONNECT_WITHIN_MS = 10_000;

export function connectPipe(url: string): Promise<Pipe> {
  return new Promise((resolve, reject) => {
    const target = new URL("/api/v1/link", url);
    target.protocol = target.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(target, { handshakeTimeout: CONNECT_WITHIN_MS, perMessageDeflate: false, maxPayload: 1024 * 1024 });
    socket.once("error", reject);
    socket.once("open", () => {
      socket.removeListener("error", reject);
      socket.on("error", () => socket.terminate());
      resolve(pipeOf(socket));
    });
  });
}

/** The first messages can come in the same packet as the handshake's answer, before anyone listens: they wait. */
function pipeOf(socket: WebSocket): Pipe {
  const early: (string | Uint8Array)[] = [];
  let deliver = (message: string | Uint8Array): void => void early.push(message);
  socket.on("message", (data: Buffer, binary: boolean) =>
    deliver(binary ? new Uint8Array(data.buffer, data.byteOffset, data.length) : data.toString("utf8")),
  );
  return {
    send: (message) => {
      if (socket.readyState === WebSocket.OPEN) socket.send(message);
    },
    close: () => socket.close(),
    drop: () => socket.terminate(),
    onMessage(handler) {
      deliver = handler;
      for (const message of early.splice(0)) handler(message);
    },
    onClose(handler) {
      if (socket.readyState === WebSocket.CLOSED) handler();
      else socket.once("close", (_code, why: Buffer) => handler(why.toString("utf8")));
    },
  };
}
