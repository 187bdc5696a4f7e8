/**
 * The connection beneath a link's WebSocket, from the side that connects: what comes is read into the same memory over and over, and handed
 * on as WholeFrames does. Who controls the inputs: whoever is connected to, every byte.
 */
import { connect as connectNet, isIP, type Socket, type TcpNetConnectOpts, type createConnection } from "node:net";
import type { ConnectionOptions } from "node:tls";
import { WholeFrames } from "./whole-frames.ts";

/** Several of a channel's packets. */
const READ_BYTES = 256 * 1024;
/** What ends the answer to the handshake, which is no frame. */
const HEAD_END = "\r\n\r\n";

/** How much of these bytes belongs to the answer's head, where that ends in them; else null. `matched`: how much of its end has come. */
function headIn(bytes: Uint8Array, matched: { count: number }): number | null {
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === HEAD_END.charCodeAt(matched.count)) matched.count++;
    else matched.count = byte === HEAD_END.charCodeAt(0) ? 1 : 0;
    if (matched.count === HEAD_END.length) return at + 1;
  }
  return null;
}

class Coming {
  readonly #frames = new WholeFrames();
  readonly #matched = { count: 0 };
  #isFrames = false;

  /** None of the pieces is part of `bytes`. */
  pieces(bytes: Uint8Array): Buffer[] {
    let at = 0;
    const pieces: Buffer[] = [];
    if (!this.#isFrames) {
      const head = headIn(bytes, this.#matched);
      this.#isFrames = head !== null;
      at = head ?? bytes.length;
      pieces.push(Buffer.from(bytes.subarray(0, at)));
    }
    while (at < bytes.length) {
      const taken = this.#frames.take(bytes.subarray(at));
      at += taken.length;
      pieces.push(...taken.pieces);
    }
    return pieces;
  }
}

/** What `ws` asks a connection with. */
type SocketOptions = TcpNetConnectOpts & ConnectionOptions;

type Connect = (options: SocketOptions) => Socket;

function connectWith(connect: Connect, options: SocketOptions): Socket {
  const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  const coming = new Coming();
  /** Whether more may come at once; where not, the socket reads on when its reader asks. */
  const callback = (length: number): boolean => {
    let isWanted = true;
    for (const piece of coming.pieces(buffer.subarray(0, length))) isWanted = socket.push(piece);
    return isWanted;
  };
  // the path is that of the question, and would be taken for a socket's in a folder
  const socket: Socket = connect({ ...options, path: undefined, onread: { buffer, callback } });
  return socket;
}

/** TLS is loaded where it is asked for. */
async function secureConnect(): Promise<Connect> {
  const { connect } = await import("node:tls");
  return ({ host = "", ...options }) => connect({ servername: isIP(host) ? "" : host, host, ...options });
}

/** What `ws` makes its connection with, which is with TLS where `isSecure`. */
export async function connectionsOf(isSecure: boolean): Promise<typeof createConnection> {
  const connect: Connect = isSecure ? await secureConnect() : connectNet;
  return ((options: SocketOptions) => connectWith(connect, options)) as typeof createConnection;
}
