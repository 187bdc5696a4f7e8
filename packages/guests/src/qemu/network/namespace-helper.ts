/**
 * Runs inside a machine's network namespace and hands sockets made there to the daemon: a socket belongs to the namespace it was made in,
 * whoever holds it. Ends with the daemon.
 */
import { createSocket, type Socket as Datagrams } from "node:dgram";
import { createServer, connect, type Server, type Socket } from "node:net";

export type HelperRequest =
  | { id: number; kind: "listen"; port: number }
  | { id: number; kind: "datagrams"; port: number }
  | { id: number; kind: "connect"; host: string; port: number };
export interface HelperReply {
  id: number;
  error: string | null;
}

const CONNECT_MS = 8_000;

const send = process.send?.bind(process);
if (!send) throw new Error("the helper has no daemon to hand sockets to");

/** What was handed over is the daemon's alone: two that listen would share the connections. */
const reply = (id: number, error: string | null, handle?: Server | Socket | Datagrams): void =>
  void send({ id, error } satisfies HelperReply, handle, {}, () => {
    if (handle && !("write" in handle)) handle.close();
  });

process.on("message", (request: HelperRequest) => {
  const failed = (error: Error): void => reply(request.id, error.message);
  if (request.kind === "listen") {
    const server = createServer({ pauseOnConnect: true }).once("error", failed);
    server.listen({ host: "0.0.0.0", port: request.port, backlog: 128 }, () => reply(request.id, null, server));
  } else if (request.kind === "datagrams") {
    const socket = createSocket("udp4").once("error", failed);
    socket.bind(request.port, "0.0.0.0", () => reply(request.id, null, socket));
  } else {
    // told before whoever asked has given up: nobody would have what comes later
    const socket = connect({ host: request.host, port: request.port, timeout: CONNECT_MS }).once("error", failed);
    socket.once("timeout", () => socket.destroy(new Error(`port ${request.port} does not answer`)));
    socket.once("connect", () => reply(request.id, null, socket.setTimeout(0)));
  }
});
process.on("disconnect", () => process.exit());
