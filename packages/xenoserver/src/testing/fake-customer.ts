/**
 * The customer's end of one lease, for this package's tests: brings a job of the simulated driver, takes what it is sent, and gives its
 * word if it is to.
 */
import { jobHashOf, toHex, utf8, type Envelope, type JobSpec } from "@xenoservers/protocol";
import { initiateChannel, type Channel, type ChannelHeader, type InputTree } from "@xenoservers/protocol/channel";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { digestOf } from "../drivers/checks.ts";
import type { WasmJob } from "../drivers/work.ts";
import type { FakeMarket } from "./fake-market.ts";

export interface FakeJob {
  job: WasmJob;
  jobHash: string;
  blobs: Map<string, Uint8Array>;
}

const NO_INPUTS: InputTree = { entries: [], mounts: [] };
const FUEL_MAX = "1000000000000000";

/** `run MS EXIT TEXT`, `fail MS`, `refuse WHY`: what the simulated driver understands. */
export function fakeJob(args: readonly (string | number)[], spec: Partial<JobSpec> = {}): FakeJob {
  const module = utf8("module");
  const blobs = new Map([module, new Uint8Array(0)].map((bytes) => [toHex(nodeCrypto.sha256(bytes)), bytes]));
  const [moduleDigest = "", stdin = ""] = blobs.keys();
  const full: JobSpec = {
    ...{ module: moduleDigest, args: args.map(String), env: [], inputs: digestOf(nodeCrypto, NO_INPUTS), stdin, engine: "sim-1" },
    ...{ memoryMibMax: 64, diskMibMax: 16, outputMibMax: 1, fuelMax: FUEL_MAX, seed: "00".repeat(32), clockBaseMs: 0, preopens: [] },
    ...spec,
  };
  const job: WasmJob = { spec: full, inputs: NO_INPUTS, moduleSize: module.length, stdinSize: 0, segment: null };
  return { job, jobHash: jobHashOf(nodeCrypto, full), blobs };
}

/** What it does with its result: signs at once, fetches the files first, says nothing. */
export type Manner = "signs" | "silent";

export class FakeCustomer {
  readonly #market: FakeMarket;
  readonly lease: string;
  readonly #job: FakeJob | null;
  readonly #manner: Manner;
  channel: Channel | null = null;
  readonly heard: ChannelHeader[] = [];
  stdout = "";
  /** Bytes in place of the ones that were ordered. */
  wrong: (digest: string, bytes: Uint8Array, time: number) => Uint8Array = (_, bytes) => bytes;
  readonly #asked = new Map<string, number>();

  constructor(market: FakeMarket, lease: string, job: FakeJob | null, manner: Manner = "signs") {
    this.#market = market;
    this.lease = lease;
    this.#job = job;
    this.#manner = manner;
  }

  async attach(): Promise<void> {
    const { customer, offer } = this.#market;
    const channel = await initiateChannel(this.#market.openChannel(this.lease), customer.channelKey, offer.payload.channelKey, this.lease);
    this.channel = channel;
    channel.onMessage((header, body) => this.#receive(channel, header, body));
    if (this.#job) channel.send({ t: "job", ...this.#job.job });
    channel.send({ t: "attach", stdout: 0, stderr: 0 });
  }

  #receive(channel: Channel, header: ChannelHeader, body: Uint8Array): void {
    this.heard.push(header);
    if (header.t === "want") {
      const { digest, offset, length } = header;
      const time = (this.#asked.get(digest) ?? 0) + 1;
      this.#asked.set(digest, time);
      const bytes = this.wrong(digest, this.#job?.blobs.get(digest) ?? new Uint8Array(0), time);
      channel.send({ t: "part", digest, offset }, bytes.subarray(offset, offset + length));
    }
    if (header.t === "output") this.stdout += new TextDecoder().decode(body);
    if (header.t === "ended" && this.#manner === "signs") channel.send({ t: "delivered", delivery: this.word(header.result) });
  }

  /** Its word that the bytes of a result are here. */
  word(result: Envelope, by = this.#market.customer): Envelope {
    const id = this.#market.documentId(result);
    return this.#market.sign(by.signer, "delivery", { lease: this.lease, result: id, sealed: null }).envelope;
  }

  of<T extends ChannelHeader["t"]>(t: T): Extract<ChannelHeader, { t: T }>[] {
    return this.heard.filter((header): header is Extract<ChannelHeader, { t: T }> => header.t === t);
  }
}
