/**
 * The customer's end of one lease while it runs: brings the job's bytes, follows output, fetches results. A lost link never ends the job: the
 * session reconnects and goes on where it was. Who controls the inputs: the server (channel messages), the broker (events).
 */
import { createHash, type Hash } from "node:crypto";
import { canonicalBytes, concatBytes, parseDocumentOf, toHex, zLeaseView, type Json, type LeaseView, type Payload } from "@xenoservers/protocol";
import { PART_BYTES_MAX, initiateChannel, type Channel, type ChannelHeader, type InputEntry } from "@xenoservers/protocol/channel";
import { systemTimers, type LinkClient, type LinkEvent, type Timers } from "@xenoservers/protocol/link";
import type { MarketClient } from "./client.ts";
import { openLink } from "./connect.ts";
import type { BuiltJob } from "./job.ts";
import { MachineLink } from "./machine-link.ts";
import type { BuiltVm } from "./vm.ts";
import { fetchBound, type BoundOrder } from "./order.ts";

export type Stream = "stdout" | "stderr";

export interface SessionHandlers {
  onOutput?(stream: Stream, bytes: Uint8Array): void;
  /** Progress for people: waiting, preparing, running, ended, reconnecting, matched again. */
  onState?(state: string): void;
}

export interface Delivered {
  result: Payload<"result">;
  tree: InputEntry[];
}

const RETRY_MS = 300;
const POLL_MS = 1_000;
/** How long after the settlement the result itself is waited for; it stays at the server longer. */
const RESULT_WAIT_MS = 60_000;
const WANTS_UNDER_WAY_MAX = 8;

/** A file of the guest is the largest piece there can be. */
const WHOLE_BYTES_MAX = 1024 * 1024 * 1024;

function jobMessage(job: BuiltJob | BuiltVm): ChannelHeader {
  if (job.kind === "vm") return { t: "vm", spec: job.spec, inputs: job.inputs, blobs: job.sizes };
  const { spec, inputs, moduleSize, stdinSize, segment } = job;
  return { t: "job", spec, inputs, moduleSize, stdinSize, segment };
}

class MissingAtServer extends Error {}

export class LeaseSession {
  readonly #client: MarketClient;
  readonly #timers: Timers;
  readonly #job: BuiltJob | BuiltVm | null;
  readonly #handlers: SessionHandlers;
  readonly #link: LinkClient;
  #bound: BoundOrder;
  #channel: Channel | null = null;
  readonly #received: Record<Stream, number>;
  readonly #hashes: Record<Stream, Hash | null>;
  #failed!: (error: Error) => void;
  /** Resolves when a part of the job cannot be had on this side: the job will never start. */
  readonly failed: Promise<Error> = new Promise((resolve) => (this.#failed = resolve));
  #delivered: Delivered | null = null;
  #settled: LeaseView | null = null;
  #closed = false;
  #lapsedPolls = 0;
  #settledAt = 0;
  readonly #ownsLink: boolean;
  readonly #wakers = new Set<() => void>();
  readonly #fetches = new Map<string, { resolve: (bytes: Uint8Array) => void; reject: (error: Error) => void }>();

  /** `from` says which output was seen before (attach); output is checked against the server's signed digests only from the start. */
  constructor(
    client: MarketClient,
    bound: BoundOrder,
    job: BuiltJob | BuiltVm | null,
    handlers: SessionHandlers,
    link?: LinkClient,
    from: Record<Stream, number> = { stdout: 0, stderr: 0 },
    timers: Timers = systemTimers,
  ) {
    this.#timers = timers;
    this.#client = client;
    this.#bound = bound;
    this.#job = job;
    this.#handlers = handlers;
    this.#received = { ...from };
    this.#hashes = { stdout: from.stdout === 0 ? createHash("sha256") : null, stderr: from.stderr === 0 ? createHash("sha256") : null };
    this.#link = link ?? openLink(client, {});
    this.#ownsLink = link === undefined;
    void this.#converse();
    void this.#watch();
  }

  /** What can be asked of a running virtual machine. */
  readonly machine: MachineLink = new MachineLink(
    () => this.#channel,
    (ms) => this.#sleep(ms),
  );

  get lease(): string {
    return this.#bound.po.id;
  }

  /** An event from the link: saves waiting for the next poll, and reading again what it carries. */
  hint(event?: LinkEvent): void {
    if (event?.kind === "lease-settled" && event.lease === this.lease && !this.#settled) {
      const lease = zLeaseView.safeParse(event.data["lease"]);
      if (lease.success) this.#settle(lease.data);
    }
    this.#wake();
  }

  #settle(lease: LeaseView): void {
    this.#settledAt = this.#timers.now();
    this.#settled = lease;
  }

  /** Waits, or less when something happened. */
  async #sleep(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        cancel();
        this.#wakers.delete(wake);
        resolve();
      };
      const cancel = this.#timers.after(ms, wake);
      this.#wakers.add(wake);
    });
  }

  #wake(): void {
    for (const wake of [...this.#wakers]) wake();
  }

  async #converse(): Promise<void> {
    for (let first = true; !this.#closed && !this.#over; first = false) {
      if (!first) await this.#sleep(RETRY_MS);
      if (!this.#link.up || this.#closed) continue;
      const bound = this.#bound;
      try {
        const channel = await initiateChannel(
          this.#link.openChannel(bound.po.id),
          this.#client.identity.channelKey,
          bound.offer.payload.channelKey,
          bound.po.id,
        );
        const closed = new Promise<void>((resolve) => channel.onClose(() => resolve()));
        this.#channel = channel;
        let turn = Promise.resolve();
        channel.onMessage((header, body) => {
          turn = turn.then(() => this.#receive(channel, header, body)).catch(() => channel.close());
        });
        if (this.#job && !this.#delivered) channel.send(jobMessage(this.#job));
        channel.send({ t: "attach", ...this.#received });
        await closed;
      } catch {
        // the server is not there yet, or not any more; #watch finds out whether the lease still stands
      }
      this.#channel = null;
      this.machine.lost();
      for (const { reject } of this.#fetches.values()) reject(new Error("the link went down"));
      this.#fetches.clear();
      if (!this.#closed && !this.#over) this.#handlers.onState?.("reconnecting");
    }
  }

  /** Nothing more will come: it ended without a result, or its result cannot be had for a while now. */
  get #over(): boolean {
    if (this.#settled === null || this.#delivered !== null) return false;
    return (this.#settled.end?.result ?? null) === null || this.#timers.now() > this.#settledAt + RESULT_WAIT_MS;
  }

  async #receive(channel: Channel, header: ChannelHeader, body: Uint8Array): Promise<void> {
    switch (header.t) {
      case "want": {
        const blob = this.#job?.blobs.get(header.digest);
        const bytes = await blob?.read(header.offset, header.length).catch((error: Error) => this.#failed(error));
        if (bytes) channel.send({ t: "part", digest: header.digest, offset: header.offset }, bytes);
        return;
      }
      case "state":
        return this.#handlers.onState?.(header.state);
      case "output": {
        const { stream, offset } = header;
        const skip = this.#received[stream] - offset;
        if (skip < 0 || skip > body.length) return;
        const fresh = body.subarray(skip);
        this.#received[stream] += fresh.length;
        this.#hashes[stream]?.update(fresh);
        this.#handlers.onOutput?.(stream, fresh);
        return channel.send({ t: "seen", ...this.#received });
      }
      case "part":
        this.#fetches.get(`${header.digest}/${header.offset}`)?.resolve(body);
        this.#fetches.delete(`${header.digest}/${header.offset}`);
        return;
      case "ended":
        return this.#ended(header);
      case "problem":
        if (header.code === "not_found") {
          for (const { reject } of this.#fetches.values()) reject(new MissingAtServer(header.why));
          this.#fetches.clear();
          return;
        }
        if (header.code === "internal") channel.close(); // the server stumbled: a new channel brings the job again
        return this.#handlers.onState?.(`problem: ${header.why}`);
      default:
        if (this.machine.receive(header, body)) return;
    }
  }

  #ended({ result, tree }: Extract<ChannelHeader, { t: "ended" }>): void {
    const parsed = parseDocumentOf(this.#client.crypto, "result", result);
    const wrong = (why: string): void => this.#handlers.onState?.(`problem: the server's result is not right: ${why}`);
    if (!parsed.ok || parsed.document.keyid !== this.#bound.po.payload.serverKey || parsed.document.payload.lease !== this.lease)
      return wrong("it is not signed by the server for this lease");
    const { payload } = parsed.document;
    if (toHex(this.#client.crypto.sha256(canonicalBytes(tree as unknown as Json))) !== payload.outputDigest)
      return wrong("the files are not the ones it signed");
    for (const stream of ["stdout", "stderr"] as const) {
      const hash = this.#hashes[stream]?.copy().digest("hex");
      if (hash !== undefined && hash !== payload[`${stream}Digest`]) return wrong(`${stream} is not what it signed`);
    }
    this.#delivered = { result: payload, tree };
    this.#wake();
  }

  /** Follows the lease at the broker: settled, or matched again after a server did not take it up. */
  async #watch(): Promise<void> {
    while (!this.#closed && !this.#settled) {
      await this.#sleep(POLL_MS);
      try {
        const lease = await this.#client.read("lease", { params: { id: this.lease } });
        if (lease.state === "lapsed") await this.#followOrder(lease);
        else if (lease.end) this.#settle(lease);
      } catch {
        // the broker is away; the link's reconnecting shows it
      }
    }
    this.#wake();
  }

  async #followOrder(lapsed: LeaseView): Promise<void> {
    const order = await this.#client.read("order", { params: { id: lapsed.orderId } });
    if (order.lease !== null && order.lease !== this.lease) {
      this.#bound = await fetchBound(this.#client, order.lease);
      this.#handlers.onState?.("matched again");
      this.#channel?.close();
    } else if (++this.#lapsedPolls > 3) this.#settled = lapsed;
  }

  /** The lease's end in the books. */
  async settled(): Promise<LeaseView> {
    while (!this.#settled && !this.#closed) await this.#sleep(POLL_MS);
    if (!this.#settled) throw new Error("the session was closed before the lease ended");
    return this.#settled;
  }

  /** What the server handed in; null when the lease ended without a result. */
  async delivered(): Promise<Delivered | null> {
    while (!this.#delivered && !this.#over && !this.#closed) await this.#sleep(POLL_MS);
    return this.#delivered;
  }

  /** One output file, checked against the digest the server signed. */
  async fetch({ digest, size }: { digest: string; size: number }): Promise<Uint8Array> {
    const bytes = new Uint8Array(size);
    const offsets = Array.from({ length: Math.ceil(size / PART_BYTES_MAX) }, (_, i) => i * PART_BYTES_MAX);
    const worker = async (): Promise<void> => {
      for (let offset = offsets.shift(); offset !== undefined; offset = offsets.shift())
        bytes.set(await this.#part(digest, offset, Math.min(PART_BYTES_MAX, size - offset)), offset);
    };
    await Promise.all(Array.from({ length: WANTS_UNDER_WAY_MAX }, worker));
    if (createHash("sha256").update(bytes).digest("hex") !== digest) throw new Error("a file that came back does not have the digest the server signed");
    return bytes;
  }

  /** A blob of unknown size, checked against its digest: the states of a traced job. Throws when the server has it not, or another. */
  async fetchWhole(digest: string): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    for (let offset = 0; ; offset += PART_BYTES_MAX) {
      const part = await this.#part(digest, offset, PART_BYTES_MAX);
      parts.push(part);
      if (part.length < PART_BYTES_MAX) break;
      if (offset > WHOLE_BYTES_MAX) throw new Error(`${digest.slice(0, 12)} is larger than any piece of a state`);
    }
    const bytes = concatBytes(...parts);
    if (createHash("sha256").update(bytes).digest("hex") !== digest) throw new Error(`what the server sent is not ${digest.slice(0, 12)}`);
    return bytes;
  }

  async #part(digest: string, offset: number, length: number): Promise<Uint8Array> {
    for (let attempt = 1; ; attempt++) {
      const channel = this.#channel;
      if (channel) {
        try {
          return await new Promise<Uint8Array>((resolve, reject) => {
            this.#fetches.set(`${digest}/${offset}`, { resolve, reject });
            channel.send({ t: "want", digest, offset, length });
          });
        } catch (error) {
          if (attempt >= 20 || error instanceof MissingAtServer) throw error;
        }
      }
      if (this.#closed || attempt >= 100) throw new Error("the server is not reached; the results stay there for a while: `xeno fetch`");
      await new Promise<void>((resolve) => this.#timers.after(RETRY_MS, resolve));
    }
  }

  /** Lets go; the lease runs on. */
  close(): void {
    this.#closed = true;
    this.#wake();
    this.#channel?.close();
    if (this.#ownsLink) this.#link.stop();
  }
}
