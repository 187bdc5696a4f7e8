/**
 * The customer's hold on a running virtual machine, through the lease's channel: its console, connections to its ports, requests. A lost
 * link ends connections and requests under way; new ones go through the next channel. Who controls the inputs: the server, every message.
 */
import { parseUtf8, utf8, type TerminalWindow } from "@xenoservers/protocol";
import { Tunnel, type ByteDuplex, type ByteSource, type Channel, type ChannelHeader, type VmRequest } from "@xenoservers/protocol/channel";
import * as z from "zod/mini";
import { StdinFeed } from "./stdin-feed.ts";

const WAIT_MS = 300;
const TRIES = 100;
const ANSWER_MS = 5 * 60_000;

const zWhy = z.looseObject({ why: z.string() });

interface Asked {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

export class MachineLink {
  readonly #channel: () => Channel | null;
  readonly #sleep: (ms: number) => Promise<void>;
  readonly #tunnels = new Map<number, Tunnel>();
  readonly #asked = new Map<number, Asked>();
  #last = 0;
  #feed: StdinFeed | null = null;
  /** What its program reads is asked for the first time. */
  readonly #wanted: (isTerminal: boolean) => ByteSource | null;
  #wasAsked = false;

  constructor(
    channel: () => Channel | null,
    sleep: (ms: number) => Promise<void>,
    wanted: (isTerminal: boolean) => ByteSource | null = () => null,
  ) {
    this.#channel = channel;
    this.#sleep = sleep;
    this.#wanted = wanted;
  }

  /** Of the terminal that an image's program has. */
  async resize(window: TerminalWindow): Promise<void> {
    await (await this.#up()).send({ t: "resize", window });
  }

  #taken({ bytes, isTerminal }: Extract<ChannelHeader, { t: "stdin-taken" }>): void {
    const channel = this.#channel();
    if (!channel) return;
    if (!this.#wasAsked) {
      this.#wasAsked = true;
      const from = this.#wanted(isTerminal);
      this.#feed = from && new StdinFeed(from);
    }
    this.#feed?.taken(channel, bytes);
  }

  async #up(): Promise<Channel> {
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const channel = this.#channel();
      if (channel) return channel;
      await this.#sleep(WAIT_MS);
    }
    throw new Error("the server is not reached");
  }

  /** Types on the serial console. */
  async input(bytes: Uint8Array): Promise<void> {
    await (await this.#up()).send({ t: "input" }, bytes);
  }

  /** Joins a stream to a port of the guest; a refusal ends the stream with the reason. */
  open(port: number, stream: ByteDuplex): Promise<void> {
    return this.#join(stream, (id) => ({ t: "open", id, port }));
  }

  /** Joins a stream to the guest's own shell, which speaks in frames (guest-shell.ts). */
  shell(stream: ByteDuplex): Promise<void> {
    return this.#join(stream, (id) => ({ t: "shell", id }));
  }

  /** Joins a stream to the machine's screen, which speaks RFB (RFC 6143) and asks for no password. */
  screen(stream: ByteDuplex): Promise<void> {
    return this.#join(stream, (id) => ({ t: "screen", id }));
  }

  /** One that closes while the server is not reached is not joined: nobody would ever shut it. */
  async #join(stream: ByteDuplex, header: (id: number) => ChannelHeader): Promise<void> {
    let isClosed = false;
    stream.once("close", () => (isClosed = true));
    const channel = await this.#up();
    if (isClosed) return;
    const id = ++this.#last;
    const asked = header(id);
    const closed = (): boolean => this.#tunnels.delete(id);
    this.#tunnels.set(
      id,
      new Tunnel(stream, { id, hasHalves: asked.t === "open", send: (said, body) => channel.send(said, body), closed }),
    );
    void channel.send(asked);
  }

  /** Rejects with the server's reason. */
  async ask(what: VmRequest, value: unknown = null): Promise<unknown> {
    const channel = await this.#up();
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#answer(id, false, { why: `no answer to ${what}` }), ANSWER_MS);
      const done = (): void => clearTimeout(timer);
      this.#asked.set(id, { resolve: (answer) => (done(), resolve(answer)), reject: (error) => (done(), reject(error)) });
      void channel.send({ t: "ask", id, what }, utf8(JSON.stringify(value)));
    });
  }

  #answer(id: number, ok: boolean, value: unknown): void {
    const asked = this.#asked.get(id);
    this.#asked.delete(id);
    if (ok) asked?.resolve(value);
    else asked?.reject(new Error(zWhy.safeParse(value).data?.why ?? "the server refused"));
  }

  /** Whether the message was one of these. */
  receive(header: ChannelHeader, body: Uint8Array): boolean {
    switch (header.t) {
      case "data":
        this.#tunnels.get(header.id)?.receive(body);
        return true;
      case "taken":
        this.#tunnels.get(header.id)?.taken(header.bytes);
        return true;
      case "shut":
        this.#tunnels.get(header.id)?.shut(header.why);
        return true;
      case "stdin-taken":
        this.#taken(header);
        return true;
      case "answer": {
        let value: unknown = null;
        try {
          value = JSON.parse(parseUtf8(body) ?? "");
        } catch {
          // the server's own nonsense: shown as a refusal
        }
        this.#answer(header.id, header.ok, value);
        return true;
      }
      default:
        return false;
    }
  }

  /** Its order was placed on another server; false: what its program is to read was read in part by the one before. */
  moved(): boolean {
    return this.#feed?.beginAgain() ?? true;
  }

  /** The channel went down. */
  lost(): void {
    for (const tunnel of this.#tunnels.values()) tunnel.drop();
    this.#tunnels.clear();
    this.#feed?.lost();
    for (const id of [...this.#asked.keys()]) this.#answer(id, false, { why: "the link went down" });
  }
}
