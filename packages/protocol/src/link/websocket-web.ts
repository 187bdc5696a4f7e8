/** The link over a browser's WebSocket. Who controls the inputs: the broker, every message. */
import type { Pipe } from "./pipe.ts";

const CONNECT_WITHIN_MS = 10_000;
const NORMAL = 1000;

export function connectPipe(url: string): Promise<Pipe> {
  return new Promise((resolve, reject) => {
    const target = new URL("/api/v1/link", url);
    target.protocol = target.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(target);
    socket.binaryType = "arraybuffer";
    const late = setTimeout(() => socket.close(), CONNECT_WITHIN_MS);
    // a page is not told why: a broker that lets no page of this origin in looks like one that is away
    const failed = (): void => {
      clearTimeout(late);
      reject(new Error(`no link to ${target.host}: the broker is away, or lets no page of this origin in`));
    };
    socket.addEventListener("close", failed, { once: true });
    const pipe = pipeOf(socket);
    socket.addEventListener(
      "open",
      () => {
        clearTimeout(late);
        socket.removeEventListener("close", failed);
        resolve(pipe);
      },
      { once: true },
    );
  });
}

/** The first messages can come before anyone listens: they wait. */
function pipeOf(socket: WebSocket): Pipe {
  const early: (string | Uint8Array)[] = [];
  let deliver = (message: string | Uint8Array): void => void early.push(message);
  socket.addEventListener("message", ({ data }: { data: unknown }) =>
    deliver(data instanceof ArrayBuffer ? new Uint8Array(data) : String(data)),
  );
  return {
    send: (message) => {
      if (socket.readyState === WebSocket.OPEN) socket.send(message as string | Uint8Array<ArrayBuffer>);
    },
    close: () => socket.close(NORMAL),
    onMessage(handler) {
      deliver = handler;
      for (const message of early.splice(0)) handler(message);
    },
    onClose(handler) {
      if (socket.readyState === WebSocket.CLOSED) handler();
      else socket.addEventListener("close", ({ reason }) => handler(reason), { once: true });
    },
  };
}
