/**
 * What a customer asks of its running guest over one channel, where that has a console: typing, connections to its ports and its screen,
 * its agent, pause, reboot, snapshot. Who controls the inputs: the customer, every message.
 */
import type { Duplex } from "node:stream";
import { SHELL_FULL, Tunnel, type Channel, type ChannelHeader } from "@xenoservers/protocol/channel";
import { z } from "zod";
import type { Capabilities, GuestControls, RunningGuest } from "../drivers/driver.ts";
import { Gathering } from "./gathering.ts";
import { TUNNELS_MAX, type TunnelRoom } from "./tunnel-room.ts";

const REPLY_BYTES_MAX = 8 * 1024 * 1024;
const ASKS_UNDER_WAY_MAX = 16;
/** Whoever had no place among a guest's programs asks again, not before the first and mostly before the second. */
const [AGAIN_MS_MIN, AGAIN_MS_MAX] = [250, 5_000];
/** Each of these is remembered for so long: a hundred programs that wait ask no oftener. */
const ASK_AGAIN_MAX = 1_000;
const PAUSED = "the machine stands still since its customer paused it, and nothing in it answers: resume it first (xeno lease resume)";
const zAgentRequest = z.strictObject({ command: z.string().regex(/^guest-[a-z-]{1,60}$/), arguments: z.record(z.string(), z.unknown()) });

export interface VmRequestsHost {
  /** Of the lease's driver. */
  capabilities: Pick<Capabilities, "console" | "snapshots">;
  guest(): RunningGuest | null;
  /** Where its guest begins, or is looked for after a restart of this server: resolves once it can be asked something, or never will. */
  begun(): Promise<void> | null;
  /** Whether its customer has stopped its clock. */
  isPaused(): boolean;
  /** Throws, in words, where what is done with its guest now would not be done where that goes on. */
  needHere(): void;
  /** Stops the clock of the guest, not of the lease: the machine stays reserved. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  sleep(ms: number): Promise<void>;
}

type VmHeader = Extract<
  ChannelHeader,
  { t: "input" | "stdin" | "resize" | "open" | "shell" | "screen" | "data" | "taken" | "shut" | "ask" }
>;
export const isVmHeader = (header: ChannelHeader): header is VmHeader =>
  ["input", "stdin", "resize", "open", "shell", "screen", "data", "taken", "shut", "ask"].includes(header.t);

const whyOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

export class VmRequests {
  readonly #channel: Channel;
  readonly #host: VmRequestsHost;
  readonly #room: TunnelRoom;
  readonly #leave: () => void;
  readonly #tunnels = new Map<number, Tunnel>();
  #isClosed = false;
  #asks = 0;
  /** Connections that the guest has not taken yet. */
  #opening = 0;
  /** What has come before the guest begins. */
  #waiting = 0;
  /** Who had no place in the guest: who asks again in a moment, and of them who does not yet. */
  #asksAgain = 0;
  #isJustRefused = 0;
  /** What was taken is being said, and may have changed since. */
  #isSaying = false;
  #hasMore = false;

  /** `room`: of all channels of the lease. */
  constructor(channel: Channel, host: VmRequestsHost, room: TunnelRoom) {
    this.#channel = channel;
    this.#host = host;
    this.#room = room;
    this.#leave = room.join(() => this.#spare());
  }

  /** Whether something of its customer's would be cut with its channel. */
  get isInUse(): boolean {
    return this.#tunnels.size + this.#opening + this.#asks + this.#waiting > 0;
  }

  /** Whether it is about to ask for a place in the guest again: where its channel went just then, it could not know whether it had one. */
  get asksAgain(): boolean {
    return this.#asksAgain > 0;
  }

  /** Whether it was told just now that there is none: what it asks next comes by another channel as well. */
  get isJustRefused(): boolean {
    return this.#isJustRefused > 0;
  }

  async #refused(why: string): Promise<void> {
    if (!why.endsWith(SHELL_FULL) || this.#asksAgain >= ASK_AGAIN_MAX) return;
    this.#asksAgain++;
    this.#isJustRefused++;
    await this.#host.sleep(AGAIN_MS_MIN);
    this.#isJustRefused--;
    await this.#host.sleep(AGAIN_MS_MAX - AGAIN_MS_MIN);
    this.#asksAgain--;
  }

  /** What comes while the guest begins waits in the channel, whose window bounds it. */
  async receive(header: VmHeader, body: Uint8Array): Promise<void> {
    const begun = this.#host.begun();
    if (begun) {
      this.#waiting++;
      await begun.finally(() => this.#waiting--);
    }
    if (this.#isClosed) return;
    switch (header.t) {
      case "input":
        return this.#controls().input(body);
      case "stdin":
        return this.#stdin(header, body);
      case "resize":
        return this.#host.guest()?.controls?.resize(header.window);
      case "open":
        return this.#join(header, () => this.#answering().open(header.port));
      case "shell":
        return this.#join(header, () => this.#answering().shell());
      case "screen":
        return this.#join(header, () => this.#controls().screen());
      case "data":
        return this.#tunnels.get(header.id)?.receive(body);
      case "taken":
        return this.#tunnels.get(header.id)?.taken(header.bytes);
      case "shut":
        return this.#tunnels.get(header.id)?.shut(header.why);
      case "ask":
        return void this.#ask(header, body);
    }
  }

  #controls(): GuestControls {
    if (!this.#host.capabilities.console) throw new Error("what runs in this lease has no console, ports or agent");
    const controls = this.#host.guest()?.controls;
    if (!controls) throw new Error("no machine runs in this lease now");
    return controls;
  }

  /** Of a guest whose programs can answer. */
  #answering(): GuestControls {
    const controls = this.#controls();
    if (this.#host.isPaused()) throw new Error(PAUSED);
    return controls;
  }

  /** What comes for a program that has just ended is of no use to anybody. */
  async #stdin({ offset, last }: Extract<ChannelHeader, { t: "stdin" }>, body: Uint8Array): Promise<void> {
    const controls = this.#host.guest()?.controls;
    if (!controls) return;
    const why = controls.stdin ? await controls.stdin.receive(offset, body, last) : "what runs in this lease reads no input of yours";
    if (why !== null) await this.#channel.send({ t: "problem", code: "bad_request", why });
  }

  /** How much the program has read; however often that changes, no more is under way than one word. */
  async sayTaken(): Promise<void> {
    this.#hasMore = true;
    if (this.#isSaying) return;
    this.#isSaying = true;
    while (this.#hasMore) {
      this.#hasMore = false;
      const input = this.#host.guest()?.controls?.stdin;
      if (input && input.taken !== null) await this.#channel.send({ t: "stdin-taken", bytes: input.taken, isTerminal: input.isTerminal });
    }
    this.#isSaying = false;
  }

  /** Of those whose customer has said all, or is gone, the oldest: its guest may never answer. False: there is none. */
  #spare(): boolean {
    const [id, tunnel] = [...this.#tunnels].find(([, each]) => each.hasHeardAll) ?? [];
    if (id === undefined || !tunnel) return false;
    tunnel.cut(`another took its place: it had said all, and at most ${TUNNELS_MAX} connections are open at once`);
    this.#forget(id, tunnel);
    return true;
  }

  #forget(id: number, tunnel: Tunnel): void {
    if (this.#tunnels.get(id) !== tunnel) return;
    this.#tunnels.delete(id);
    this.#room.give();
  }

  async #join({ id, t }: Extract<VmHeader, { t: "open" | "shell" | "screen" }>, open: () => Promise<Duplex>): Promise<void> {
    const refuse = (why: string): void => void this.#channel.send({ t: "shut", id, why: why.slice(0, 200) });
    if (this.#room.isFull) this.#room.makeRoom();
    if (this.#tunnels.has(id) || this.#room.isFull) return refuse(`at most ${TUNNELS_MAX} connections at once`);
    this.#opening++;
    this.#room.take();
    let isHeld = false;
    try {
      const stream = await open();
      // whoever left meanwhile shuts nothing any more
      if (this.#isClosed) return void stream.destroy();
      const closed = (): void => this.#forget(id, tunnel);
      const gathering = new Gathering(id, {
        send: (said, bytes) => this.#channel.send(said, bytes),
        sleep: (ms) => this.#host.sleep(ms),
      });
      const tunnel = new Tunnel(stream, { id, hasHalves: t === "open", send: (said, bytes) => gathering.send(said, bytes), closed });
      this.#tunnels.set(id, tunnel);
      isHeld = true;
    } catch (error) {
      refuse(whyOf(error));
      void this.#refused(whyOf(error));
    } finally {
      this.#opening--;
      if (!isHeld) this.#room.give();
    }
  }

  async #ask({ id, what }: Extract<ChannelHeader, { t: "ask" }>, body: Uint8Array): Promise<void> {
    const answer = (ok: boolean, value: unknown): void => {
      const bytes = Buffer.from(JSON.stringify(value ?? null));
      if (bytes.length > REPLY_BYTES_MAX)
        void this.#channel.send({ t: "answer", id, ok: false }, Buffer.from(JSON.stringify({ why: "the answer is too large" })));
      else void this.#channel.send({ t: "answer", id, ok }, bytes);
    };
    if (this.#asks >= ASKS_UNDER_WAY_MAX) return answer(false, { why: "too many requests at once" });
    this.#asks++;
    try {
      answer(true, await this.#do(what, body));
    } catch (error) {
      answer(false, { why: whyOf(error).slice(0, 400) });
    } finally {
      this.#asks--;
    }
  }

  async #do(what: Extract<ChannelHeader, { t: "ask" }>["what"], body: Uint8Array): Promise<unknown> {
    const controls = this.#controls();
    switch (what) {
      case "pause":
        return this.#host.pause();
      case "resume":
        return this.#host.resume();
      case "reboot":
        this.#host.needHere();
        return controls.reboot();
      case "snapshot":
        if (!this.#host.capabilities.snapshots) throw new Error("what runs in this lease cannot be kept as it is");
        this.#host.needHere();
        return controls.snapshot(() => this.#host.needHere());
      case "agent": {
        const request = zAgentRequest.safeParse(JSON.parse(Buffer.from(body).toString("utf8")));
        if (!request.success) throw new Error("this is no request to the guest agent");
        return this.#answering().agent(request.data.command, request.data.arguments);
      }
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#leave();
    for (const [id, tunnel] of [...this.#tunnels]) {
      tunnel.drop();
      this.#forget(id, tunnel);
    }
  }
}
