/** Where servers of one owner reach each other for moves. Who controls the inputs: whoever connects; the owner, by what it names. */
import { connect, createServer, type Server } from "node:net";
import type { Pipe } from "@xenoservers/protocol/link";
import { movePipe } from "./move-pipe.ts";

/** Of those that are connected at once: a guest's memory comes over one. */
const CONNECTIONS_MAX = 8;
const CONNECT_WITHIN_MS = 10_000;
const PORT_MAX = 65_535;

export interface HostPort {
  host: string;
  port: number;
}

/** `HOST:PORT`, `[IPv6]:PORT`; null where it is neither. */
export function parseHostPort(text: string): HostPort | null {
  const [, bracketed, plain, digits] = /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]@\s]+)):([1-9]\d{0,4})$/.exec(text) ?? [];
  const port = Number(digits);
  const host = bracketed ?? plain;
  return host !== undefined && port <= PORT_MAX ? { host, port } : null;
}

/** Whoever connects is answered. Rejects where it cannot listen there. */
export async function listenForMoves(at: HostPort, answer: (pipe: Pipe) => void): Promise<Server> {
  const server = createServer((socket) => answer(movePipe(socket)));
  server.maxConnections = CONNECTIONS_MAX;
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(at.port, at.host, resolve));
  return server;
}

/** Rejects, in words, where nobody answers there. */
export function connectForMove({ host, port }: HostPort): Promise<Pipe> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    const timer = setTimeout(() => socket.destroy(new Error("nobody answers within 10 s")), CONNECT_WITHIN_MS);
    socket.once("error", (error) => reject(new Error(`the server at ${host}:${port} is not reached: ${error.message}`)));
    socket.once("close", () => clearTimeout(timer));
    socket.once("connect", () => {
      clearTimeout(timer);
      resolve(movePipe(socket));
    });
  });
}
