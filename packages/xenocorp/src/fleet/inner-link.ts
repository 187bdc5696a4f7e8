/**
 * Connections between the brokers of one market: TLS by a key that follows from the market's secret, which each has and nobody else; no
 * certificate is involved. Who controls the inputs: whoever reaches the inner port, until the handshake; then another broker of the market.
 * Bounds: connections, the time of a handshake.
 */
import type { Crypto } from "@xenoservers/protocol";
import { utf8 } from "@xenoservers/protocol";
import { createServer, connect, type TLSSocket } from "node:tls";

const HANDSHAKE_MS = 5_000;
const CONNECTIONS_MAX = 20_000;
const IDENTITY = "xenoservers-broker";
const CIPHER = { ciphers: "ECDHE-PSK-CHACHA20-POLY1305", minVersion: "TLSv1.2", maxVersion: "TLSv1.2" } as const;

/** The key of all inner connections of a market. */
export const innerKey = (crypto: Crypto, secret: Uint8Array): Uint8Array => crypto.hmacSha256(secret, utf8("fleet"));

export interface InnerDoor {
  /** HOST:PORT where it listens. */
  address: string;
  close(): Promise<void>;
}

export const hostPort = (host: string, port: number): string => (host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`);

/** Listens for other brokers. */
export function openInnerDoor(
  key: Uint8Array,
  at: { host: string; port: number },
  accept: (socket: TLSSocket) => void,
): Promise<InnerDoor> {
  const sockets = new Set<TLSSocket>();
  const server = createServer({
    ...CIPHER,
    handshakeTimeout: HANDSHAKE_MS,
    pskCallback: (_socket, identity) => (identity === IDENTITY ? key : null),
  });
  server.maxConnections = CONNECTIONS_MAX;
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  server.on("secureConnection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.setNoDelay(true);
    accept(socket);
  });
  return new Promise((resolve, reject) => {
    server.once("error", (cause) =>
      reject(new Error(`other brokers cannot be heard at ${hostPort(at.host, at.port)}: choose another with --inner`, { cause })),
    );
    server.listen(at.port, at.host, () => {
      const bound = server.address();
      const port = typeof bound === "object" && bound !== null ? bound.port : at.port;
      resolve({
        address: hostPort(at.host, port),
        close: () =>
          new Promise((closed) => {
            for (const socket of sockets) socket.destroy();
            server.close(() => closed());
          }),
      });
    });
  });
}

/** Rejects where no broker of this market answers. */
export function dialInner(key: Uint8Array, address: string): Promise<TLSSocket> {
  const { hostname, port } = new URL(`tls://${address}`);
  const host = hostname.replace(/^\[|\]$/g, "");
  return new Promise((resolve, reject) => {
    const socket = connect({
      ...CIPHER,
      host,
      port: Number(port),
      pskCallback: () => ({ psk: key, identity: IDENTITY }),
      checkServerIdentity: () => undefined, // a server without the key does not come through the handshake
    });
    const late = setTimeout(() => socket.destroy(new Error(`no broker answers at ${address}`)), HANDSHAKE_MS);
    socket.once("error", reject);
    socket.once("close", () => clearTimeout(late));
    socket.once("secureConnect", () => {
      clearTimeout(late);
      socket.removeListener("error", reject);
      socket.setNoDelay(true);
      resolve(socket);
    });
  });
}
