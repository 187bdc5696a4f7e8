/** Where servers of one owner reach each other for moves. Who controls the inputs: whoever connects; the owner, by what it names. */
import { connect, createServer, type Server, type Socket } from "node:net";
import type { Pipe } from "@xenoservers/protocol/link";
import { networkOf, plainAddress } from "@xenoservers/protocol/source-address";
import { movePipe } from "./move-pipe.ts";

/** Who hands a lease over: a guest's memory comes over each. */
const GIVERS_MAX = 8;
/** Who has not shown yet that a lease of this owner's is theirs. */
const STRANGERS_MAX = 64;
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

type Caller = Pick<Socket, "remoteAddress" | "once" | "destroy">;

/**
 * Who is connected. Whoever comes is let in: where there are too many strangers, the oldest of the address, or IPv6 network, that most of
 * them come from goes, so that a crowd there keeps nobody else out.
 */
export class Callers {
  readonly #strangers = new Map<Caller, string>();
  readonly #givers = new Set<Caller>();

  come(socket: Caller): void {
    this.#strangers.set(socket, networkOf(plainAddress(socket.remoteAddress ?? "")));
    socket.once("close", () => {
      this.#strangers.delete(socket);
      this.#givers.delete(socket);
    });
    if (this.#strangers.size > STRANGERS_MAX) this.#oldestOfMost()?.destroy();
  }

  #oldestOfMost(): Caller | undefined {
    const counts = new Map<string, number>();
    for (const address of this.#strangers.values()) counts.set(address, (counts.get(address) ?? 0) + 1);
    const most = Math.max(...counts.values());
    return [...this.#strangers].find(([, address]) => counts.get(address) === most)?.[0];
  }

  /** It hands a lease over from now on; false: as many do already. */
  known(socket: Caller): boolean {
    if (this.#givers.size >= GIVERS_MAX) return false;
    if (this.#strangers.delete(socket)) this.#givers.add(socket);
    return true;
  }
}

/**
 * Whoever connects is answered. `known`: to be called once it has shown that a lease of this owner's is its own; false where it is one too
 * many of those. Rejects where it cannot listen there.
 */
export async function listenForMoves(at: HostPort, answer: (pipe: Pipe, known: () => boolean) => void): Promise<Server> {
  const callers = new Callers();
  const server = createServer((socket) => {
    answer(movePipe(socket), () => callers.known(socket));
    callers.come(socket);
  });
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
