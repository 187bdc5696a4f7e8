/**
 * The end of one channel that is linked to another broker: its messages go there over a connection of their own, unread as everywhere, so
 * that one who does not read holds up nobody else. Who controls the inputs: the other broker, and by it an end of the channel. Bounds: what
 * waits here to be read by either side.
 */
import type { FromBroker, Timers } from "@xenoservers/protocol/link";
import type { Duplex } from "node:stream";
import { z } from "zod";
import { UNREAD_BYTES_MAX } from "../http/link.ts";
import type { ChannelEnd, Channels } from "../http/channels.ts";
import { FrameReader, frameOf } from "./frames.ts";
import type { NearEnd } from "./link-fleet.ts";

/** While so much waits for the near end, no more is read from the far one. */
const NEAR_UNREAD_BYTES_MAX = 1024 * 1024;
const LOOK_AGAIN_MS = 20;

const zSession = z.string().regex(/^[0-9a-f]{32}$/);
const zFarMessage = z.discriminatedUnion("t", [
  z.strictObject({ t: z.literal("channel-open"), lease: z.string(), session: zSession, server: z.string() }),
  z.strictObject({ t: z.literal("channel-close"), session: zSession, why: z.string() }),
]);
type FarMessage = z.infer<typeof zFarMessage>;
export type FarOpen = Extract<FarMessage, { t: "channel-open" }>;

function farMessageOf(text: string): FarMessage | null {
  try {
    return zFarMessage.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}

interface FarParts {
  channels: Channels;
  timers: Timers;
  /** The server that a channel leads to, where this broker asked for it. */
  server: string;
  /** Another broker asks for a channel to a server of this one. */
  opened(end: FarEnd, asked: FarOpen): void;
}

export class FarEnd implements ChannelEnd {
  readonly channels = new Set<string>();
  channelsOpening = 0;
  readonly #stream: Duplex;
  readonly #parts: FarParts;
  readonly #reader = new FrameReader();
  #near: NearEnd | null = null;
  #open = true;

  constructor(stream: Duplex, parts: FarParts) {
    this.#stream = stream;
    this.#parts = parts;
    stream.on("data", (chunk: Buffer) => this.#receive(chunk));
    stream.on("error", () => stream.destroy());
    stream.once("close", () => this.#gone());
    stream.once("end", () => stream.end());
  }

  get open(): boolean {
    return this.#open;
  }

  get isFull(): boolean {
    return this.#stream.writableLength > UNREAD_BYTES_MAX;
  }

  /** For whom it reads. */
  faces(near: NearEnd): void {
    this.#near = near;
  }

  tell(message: FromBroker): void {
    if (!this.#open) return;
    if (message.t === "channel-open") this.#send(JSON.stringify({ ...message, server: this.#parts.server }));
    if (message.t !== "channel-close") return;
    this.#send(JSON.stringify(message));
    this.close();
  }

  pass(bytes: Uint8Array, taken: () => void): void {
    if (this.#open) this.#stream.write(frameOf(bytes), () => taken());
  }

  /** Its channel is over and its far end was not told, since it does not read: it sees that the connection is gone. */
  left(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#stream.destroy();
  }

  /** What was sent still goes out. */
  close(): void {
    this.#open = false;
    this.#stream.end();
  }

  #send(message: string): void {
    this.#stream.write(frameOf(message));
  }

  #receive(chunk: Uint8Array): void {
    try {
      const bytes = new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length);
      for (const message of this.#reader.read(bytes)) if (this.#open) this.#handle(message);
    } catch {
      this.#stream.destroy();
      return;
    }
    this.#keepUp();
  }

  #handle(message: string | Uint8Array): void {
    if (typeof message !== "string") return void this.#parts.channels.relay(this, message);
    const told = farMessageOf(message);
    if (!told) return void this.#stream.destroy();
    if (told.t === "channel-open") return this.#parts.opened(this, told);
    this.#parts.channels.close(told.session, this, told.why);
    this.left();
  }

  /** Reads on when the near end has read. */
  #keepUp(): void {
    if ((this.#near?.unreadBytes ?? 0) <= NEAR_UNREAD_BYTES_MAX) return void this.#stream.resume();
    this.#stream.pause();
    this.#parts.timers.after(LOOK_AGAIN_MS, () => {
      if (!this.#stream.destroyed) this.#keepUp();
    });
  }

  #gone(): void {
    this.#open = false;
    this.#parts.channels.gone(this);
  }
}
