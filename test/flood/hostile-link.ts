/**
 * A stranger's end of a link, frame by frame: it reads when it wants to, stops in the middle of a message, and comes from any loopback
 * address, which stands for a household of its own.
 */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { FromBroker } from "@xenoservers/protocol/link";
import type { MarketClient } from "@xenoservers/sdk";

const TEXT = 1;
const BYTES = 2;
const CLOSE = 8;
const PING = 9;
const FINAL = 0x80;
const MASKED = 0x80;

/** A frame's head (RFC 6455 section 5.2) with a mask of zeros, so that bytes stay as they are. */
function head(opcode: number, length: number): Buffer {
  const long = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const bytes = Buffer.alloc(2 + long + 4);
  bytes[0] = FINAL | opcode;
  bytes[1] = MASKED | (long === 0 ? length : long === 2 ? 126 : 127);
  if (long === 2) bytes.writeUInt16BE(length, 2);
  if (long === 8) bytes.writeBigUInt64BE(BigInt(length), 2);
  return bytes;
}

export const frame = (message: object | Uint8Array): Buffer => {
  const payload = message instanceof Uint8Array ? message : Buffer.from(JSON.stringify(message));
  return Buffer.concat([head(message instanceof Uint8Array ? BYTES : TEXT, payload.length), payload]);
};
export const pingFrame = (): Buffer => Buffer.concat([head(PING, 100), Buffer.alloc(100)]);

export async function dial(url: string, from: string): Promise<Socket> {
  const { hostname: host, port } = new URL(url);
  const socket = connect({ host, port: Number(port), localAddress: from });
  socket.on("error", () => {});
  await once(socket, "connect");
  return socket;
}

export class HostileLink {
  readonly socket: Socket;
  /** Why the broker closed it: the code and its words. */
  closedFor: { code: number; why: string } | null = null;
  /** Of whole messages that are bytes. */
  bytesHeard = 0;
  readonly gone: Promise<void>;
  #come: Buffer = Buffer.alloc(0);
  readonly #heard: FromBroker[] = [];
  #upgraded = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setMaxListeners(0); // as many as wait for an answer at once
    this.gone = new Promise((resolve) => socket.once("close", () => resolve()));
    socket.on("data", (bytes: Buffer) => this.#read(bytes));
  }

  static async open(url: string, from: string): Promise<HostileLink> {
    const socket = await dial(url, from);
    const link = new HostileLink(socket);
    const key = randomBytes(16).toString("base64");
    socket.write(
      `GET /api/v1/link HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: ${key}\r\n\r\n`,
    );
    return link;
  }

  #read(bytes: Buffer): void {
    this.#come = Buffer.concat([this.#come, bytes]);
    if (!this.#upgraded) {
      const end = this.#come.indexOf("\r\n\r\n");
      if (end < 0) return;
      this.#upgraded = true;
      this.#come = this.#come.subarray(end + 4);
    }
    for (let one = this.#next(); one; one = this.#next()) {
      if (one.opcode === TEXT) this.#heard.push(JSON.parse(one.payload.toString("utf8")) as FromBroker);
      if (one.opcode === BYTES) this.bytesHeard += one.payload.length;
      if (one.opcode === CLOSE) this.closedFor = { code: one.payload.readUInt16BE(0), why: one.payload.subarray(2).toString("utf8") };
    }
    this.socket.emit("heard");
  }

  #next(): { opcode: number; payload: Buffer } | null {
    const [first = 0, second = 0] = this.#come;
    const long = second < 126 ? 0 : second === 126 ? 2 : 8;
    if (this.#come.length < 2 + long) return null;
    const length = long === 0 ? second : long === 2 ? this.#come.readUInt16BE(2) : Number(this.#come.readBigUInt64BE(2));
    const from = 2 + long;
    if (this.#come.length < from + length) return null;
    const payload = this.#come.subarray(from, from + length);
    this.#come = this.#come.subarray(from + length);
    return { opcode: first & 15, payload };
  }

  async hears<T extends FromBroker["t"]>(t: T): Promise<Extract<FromBroker, { t: T }>> {
    for (;;) {
      const at = this.#heard.findIndex((message) => message.t === t);
      if (at >= 0) return this.#heard.splice(0, at + 1).at(-1) as Extract<FromBroker, { t: T }>;
      if (this.socket.destroyed) throw new Error(`it was closed before it heard ${t}`);
      await Promise.race([once(this.socket, "heard"), this.gone]);
    }
  }

  /** How often it heard that, and nobody took it. */
  count(t: FromBroker["t"]): number {
    return this.#heard.filter((message) => message.t === t).length;
  }

  async login(client: MarketClient): Promise<this> {
    const { challenge } = await this.hears("challenge");
    const login = client.sign("login", { party: client.identity.party, challenge }).envelope;
    this.socket.write(frame({ t: "hello", protocol: 1, login, clock: Date.now() }));
    await this.hears("welcome");
    return this;
  }

  /** Reads nothing more. */
  deafen(): void {
    this.socket.removeAllListeners("data");
    this.socket.pause();
  }

  /** The beginning of a message of so many bytes. */
  begin(length: number, come: number): void {
    this.socket.write(Buffer.concat([head(BYTES, length), Buffer.alloc(come)]));
  }

  /** Sends without end, as fast as the other side takes it. */
  async pour(next: () => Buffer): Promise<void> {
    while (!this.socket.destroyed) {
      const batch = Buffer.concat(Array.from({ length: 64 }, next));
      if (!this.socket.write(batch)) await Promise.race([once(this.socket, "drain").catch(() => {}), this.gone]);
      else await new Promise((resolve) => setImmediate(resolve));
    }
  }
}
