/**
 * The end-to-end channel of a lease: Noise IK (noiseprotocol.org, revision 34) between the keys inside the embedded order and offer,
 * prologue = the purchase order's id. The broker only passes ciphertext. Messages are a JSON header and a body, cut into Noise packets.
 * Who controls the inputs: whoever holds the other static key; before the handshake ends, anyone.
 */
import Noise from "noise-handshake";
import Cipher from "noise-handshake/cipher.js";
import dh from "noise-handshake/dh.js";
import { bytesOfHex, concatBytes, parseUtf8, toHex, utf8 } from "../bytes.ts";
import type { Pipe } from "../link/pipe.ts";
import { MESSAGE_BYTES_MAX, parseChannelHeader, type ChannelHeader } from "./channel-messages.ts";

export interface ChannelKeyPair {
  publicKey: Uint8Array;
  secretKey: Uint8Array;
}

/** An X25519 key pair; from a secret or fresh. */
export const channelKeyPair = (secretKey?: Uint8Array): ChannelKeyPair =>
  dh.generateKeyPair(secretKey ? Buffer.from(secretKey) : undefined);

const PACKET_BYTES_MAX = 65_535 - 16 - 1;
const MORE = 1;
const LAST = 0;

export interface Channel {
  send(header: ChannelHeader, body?: Uint8Array): void;
  onMessage(handler: (header: ChannelHeader, body: Uint8Array) => void): void;
  onClose(handler: (why: string) => void): void;
  close(): void;
}

class SecureChannel implements Channel {
  readonly #pipe: Pipe;
  readonly #out: Cipher;
  readonly #in: Cipher;
  #parts: Uint8Array[] = [];
  #size = 0;
  #handler: (header: ChannelHeader, body: Uint8Array) => void = () => {};
  #closed: (why: string) => void = () => {};
  #why = "the link went down";

  constructor(pipe: Pipe, noise: Noise) {
    this.#pipe = pipe;
    this.#out = new Cipher(noise.rx);
    this.#in = new Cipher(noise.tx);
    pipe.onMessage((packet) => this.#receive(packet));
    pipe.onClose(() => this.#closed(this.#why));
  }

  send(header: ChannelHeader, body: Uint8Array = new Uint8Array(0)): void {
    const head = utf8(JSON.stringify(header));
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, head.length);
    const message = concatBytes(length, head, body);
    for (let at = 0; at < message.length; at += PACKET_BYTES_MAX) {
      const last = at + PACKET_BYTES_MAX >= message.length;
      this.#pipe.send(
        this.#out.encrypt(Buffer.from(concatBytes(new Uint8Array([last ? LAST : MORE]), message.subarray(at, at + PACKET_BYTES_MAX)))),
      );
    }
  }

  #receive(packet: string | Uint8Array): void {
    if (typeof packet === "string") return this.#fail("a text message on a channel");
    let plain: Uint8Array;
    try {
      plain = this.#in.decrypt(Buffer.from(packet));
    } catch {
      return this.#fail("a packet that does not decrypt");
    }
    this.#parts.push(plain.subarray(1));
    this.#size += plain.length - 1;
    if (this.#size > MESSAGE_BYTES_MAX) return this.#fail("a message over the size limit");
    if (plain[0] === MORE) return;
    const message = concatBytes(...this.#parts);
    this.#parts = [];
    this.#size = 0;
    if (message.length < 4) return this.#fail("a message without a header");
    const headLength = new DataView(message.buffer, message.byteOffset).getUint32(0);
    const header = headLength <= message.length - 4 ? parseChannelHeader(parseUtf8(message.subarray(4, 4 + headLength)) ?? "") : null;
    if (!header) return this.#fail("a message with an unknown header");
    this.#handler(header, message.subarray(4 + headLength));
  }

  #fail(why: string): void {
    this.#why = why;
    this.close();
  }

  onMessage(handler: (header: ChannelHeader, body: Uint8Array) => void): void {
    this.#handler = handler;
  }

  onClose(handler: (why: string) => void): void {
    this.#closed = handler;
  }

  close(): void {
    this.#pipe.close();
  }
}

/** Throws where a text comes instead of a handshake's packet. */
function handshakeOf(message: string | Uint8Array): Buffer {
  if (typeof message === "string") throw new Error("a text message before the handshake");
  return Buffer.from(message);
}

/** The customer's end. Rejects when the pipe closes first or the answer is not by `serverKey`. */
export function initiateChannel(pipe: Pipe, own: ChannelKeyPair, serverKey: string, purchaseOrderId: string): Promise<Channel> {
  return new Promise((resolve, reject) => {
    const noise = new Noise("IK", true, own);
    noise.initialise(Buffer.from(bytesOfHex(purchaseOrderId)), Buffer.from(bytesOfHex(serverKey)));
    pipe.onClose(() => reject(new Error("the channel was closed before it was ready")));
    pipe.onMessage((message) => {
      try {
        noise.recv(handshakeOf(message));
        resolve(new SecureChannel(pipe, noise));
      } catch (cause) {
        pipe.close();
        reject(new Error("the server's end of the channel has another key than its offer", { cause }));
      }
    });
    pipe.send(noise.send());
  });
}

/** The server's end: answers only to `customerKey`; anyone else is cut off without a word. */
export function respondChannel(
  pipe: Pipe,
  own: ChannelKeyPair,
  customerKey: string,
  purchaseOrderId: string,
  ready: (channel: Channel) => void,
): void {
  const noise = new Noise("IK", false, own);
  noise.initialise(Buffer.from(bytesOfHex(purchaseOrderId)));
  pipe.onMessage((message) => {
    try {
      noise.recv(handshakeOf(message));
      if (toHex(noise.rs) !== customerKey) throw new Error("not the order's key");
      pipe.send(noise.send());
      ready(new SecureChannel(pipe, noise));
    } catch {
      pipe.close();
    }
  });
}

export { Tunnel } from "./tunnel.ts";
export {
  MESSAGE_BYTES_MAX,
  PART_BYTES_MAX,
  TUNNEL_WINDOW_BYTES,
  VM_REQUESTS,
  zInputTree,
  zTree,
  type VmRequest,
  type ChannelHeader,
  type ChannelMount,
  type InputEntry,
  type InputTree,
  type SegmentInput,
  type Unreadable,
} from "./channel-messages.ts";
