import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer as createPlain, type Server } from "node:http";
import { createServer as createSecure } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { WebSocket, WebSocketServer } from "ws";
import { expect, it } from "vitest";
import { connectionsOf } from "./link-socket.ts";

const SIZES = [3, 70_000, 0, 65_567, 126, 200_000, 4_096, 65_567];

function ownCertificate(): { key: Buffer; cert: Buffer } {
  const folder = mkdtempSync(path.join(tmpdir(), "xeno-link-socket-"));
  const [key, cert] = ["key", "cert"].map((name) => path.join(folder, name)) as [string, string];
  const asked = [
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-days",
    "2",
    "-subj",
    "/CN=localhost",
  ];
  execFileSync("openssl", [...asked, "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert], { stdio: "ignore" });
  const made = { key: readFileSync(key), cert: readFileSync(cert) };
  rmSync(folder, { recursive: true });
  return made;
}

/** What came, message by message, and the pieces in which the WebSocket was given it. */
async function heard(server: Server, isSecure: boolean, options: object = {}): Promise<{ messages: Buffer[]; pieces: Buffer[] }> {
  const sockets = new WebSocketServer({ server, perMessageDeflate: false });
  sockets.on("connection", (socket) => {
    // some of it comes with the answer to the handshake
    SIZES.forEach((size, at) => socket.send(Buffer.alloc(size, at)));
    socket.close();
  });
  await once(server.listen(0, "localhost"), "listening");
  const { port } = server.address() as AddressInfo;
  const pieces: Buffer[] = [];
  const make = (await connectionsOf(isSecure)) as (options: object) => Socket;
  const createConnection = ((asked: object): Socket => make(asked).on("data", (piece: Buffer) => pieces.push(piece))) as never;
  const socket = new WebSocket(`${isSecure ? "wss" : "ws"}://localhost:${port}/`, {
    perMessageDeflate: false,
    createConnection,
    ...options,
  });
  const messages: Buffer[] = [];
  socket.on("message", (data: Buffer) => messages.push(data));
  await once(socket, "close");
  sockets.close();
  server.close();
  return { messages, pieces };
}

function checkHeard({ messages, pieces }: { messages: Buffer[]; pieces: Buffer[] }): void {
  expect(messages.map(({ length }) => length)).toEqual(SIZES);
  expect(messages.every((message, at) => message.every((byte) => byte === at))).toBe(true);
  const long = messages.filter(({ length }) => length >= 4_096);
  expect(long.map(({ length, buffer }) => buffer.byteLength - length)).toEqual(long.map(() => 0));
  // what the kernel hands over comes 64 KiB at a time at most, unless it is read into memory of the reader's own
  expect(pieces.some(({ length }) => length === 70_000)).toBe(true);
}

it("gives its reader each long message in memory that is that message's alone", async () => {
  checkHeard(await heard(createPlain(), false));
});

it("does so with TLS, whose certificate is checked for the name that was asked for", async () => {
  const own = ownCertificate();
  checkHeard(await heard(createSecure(own), true, { ca: own.cert }));
});
