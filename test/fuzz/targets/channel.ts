/** What comes through a lease's channel and over links: messages, packets before and after the handshake, sealed parts. */
import { Aes128Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from "@hpke/core";
import Noise from "noise-handshake";
import Cipher from "noise-handshake/cipher.js";
import { bytesOfHex, canonicalBytes, entriesByRun, equalBytes, jobMisfit, parseRunEnds, parseUtf8, toHex } from "@xenoservers/protocol";
import { nodeCrypto as crypto } from "@xenoservers/protocol/node";
import { openSealed, readSealed } from "@xenoservers/protocol/sealed";
import { SecureChannel, channelKeyPair, respondChannel, type InputEntry } from "@xenoservers/protocol/channel";
import { parseChannelHeader, type ChannelHeader } from "../../../packages/protocol/src/channel/channel-messages.ts";
import { channelMessage, parseChannelMessage, parseMessage, zFromBroker, zToBroker } from "../../../packages/protocol/src/link/messages.ts";
import type { Pipe } from "../../../packages/protocol/src/link/pipe.ts";
import { foldersOf, pathProblem, refusedLinks } from "../../../packages/sdk/src/tree-plan.ts";
import { billsOf } from "../../../packages/sdk/src/facade/map/parts.ts";
import { bytesProblem } from "../../../packages/sdk/src/session/result.ts";
import { jobProblem } from "../../../packages/xenoserver/src/drivers/wasm/wasm-work.ts";
import { machineProblem } from "../../../packages/xenoserver/src/drivers/qemu/machine-work.ts";
import type { Ordered } from "../../../packages/xenoserver/src/drivers/driver.ts";
import type { WasmJob } from "../../../packages/xenoserver/src/drivers/work.ts";
import { bentBytes } from "../mutate/bytes.ts";
import { bentJson } from "../mutate/json.ts";
import { ACCEPTED, REFUSED, byThrowing, bytesOf, demand, textOf, type Target } from "../target.ts";

const ID = "ab".repeat(32);
const ENVELOPE = {
  payloadType: "application/vnd.xenoservers.result.v1+json",
  payload: "e30=",
  signatures: [{ keyid: ID, sig: `${"A".repeat(86)}==` }],
};
const TREE: InputEntry[] = [
  { path: "in", kind: "directory" },
  { path: "in/a.txt", kind: "file", digest: ID, size: 5 },
  { path: "in/l", kind: "link", target: "../in/a.txt" },
  { path: "in/up", kind: "link", target: ".." },
];
const SPEC = {
  ...{ module: ID, args: ["a", "é"], env: [["HOME", "/"]], inputs: ID, preopens: [["/", ""]], stdin: ID, engine: "e" },
  ...{ memoryMibMax: 64, diskMibMax: 1, outputMibMax: 1, fuelMax: "1000", seed: ID, clockBaseMs: 0 },
};
const INPUTS = { entries: TREE, mounts: [{ path: "/in", writable: true, keep: true }] };
const VM_REST = {
  ...{ machine: "q35", firmware: "bios", devices: "virtio", tpm: false, vcpu: 1, memoryMib: 64, diskMib: 1, outputMibMax: 1 },
  ...{ network: false, egress: "none", inputs: ID, engine: null, fuelMax: "1000", seed: ID, clockBaseMs: 0 },
};
const RUN = { args: ["a"], env: [["HOME", "/"]], stdin: ID, stdinSize: 0 };
const OF_RUNS = { ...INPUTS, entries: TREE.map((entry) => ({ ...entry, path: `1/${entry.path}` })) };
const HEADERS: readonly object[] = [
  { t: "job", spec: { ...SPEC, runs: [RUN, RUN] }, inputs: OF_RUNS, moduleSize: 8, stdinSize: 0, segment: null },
  { t: "job", spec: SPEC, inputs: INPUTS, moduleSize: 8, stdinSize: 0, segment: null },
  { t: "job", spec: SPEC, inputs: INPUTS, moduleSize: 8, stdinSize: 0, segment: null, forgets: true },
  {
    ...{ t: "job", spec: SPEC, inputs: INPUTS, moduleSize: 8, stdinSize: 0 },
    segment: { segment: { from: ID, step: "10", index: 2, upTo: null }, pieces: [{ digest: ID, size: 3 }] },
  },
  {
    t: "vm",
    spec: { vm: { kind: "kernel", kernel: ID, initrd: null, append: "quiet" }, ...VM_REST },
    inputs: INPUTS,
    blobs: [{ digest: ID, size: 3 }],
  },
  ...[
    { t: "input" },
    { t: "open", id: 1, port: 22 },
    { t: "screen", id: 1 },
    { t: "data", id: 1 },
    { t: "taken", id: 1, bytes: 3 },
    { t: "shut", id: 1, why: "done" },
  ],
  ...[{ t: "ask", id: 2, what: "pause" }, { t: "answer", id: 2, ok: true }, { t: "attach", stdout: 0, stderr: 0 }, { t: "shown" }],
  ...[
    { t: "want", digest: ID, offset: 0, length: 10 },
    { t: "part", digest: ID, offset: 0 },
  ],
  ...[
    { t: "state", state: "running", usedMs: 3 },
    { t: "output", stream: "stdout", offset: 3 },
    { t: "problem", code: "x", why: "y" },
  ],
  { t: "ended", result: ENVELOPE, tree: TREE, stdoutSize: 3, stderrSize: 0 },
  { t: "delivered", delivery: ENVELOPE },
];
const headerTexts = HEADERS.map((header) => bytesOf(JSON.stringify(header)));

/** An order of another job: whatever comes is to be refused in words. */
const ORDERED = {
  po: { resources: { vcpu: 1, memoryMib: 64, diskMib: 1 }, fuelMax: "1000" },
  order: { jobHash: ID, segment: false, fuelMax: "1000" },
} as unknown as Ordered;

/** What each message sets off that reads what it holds. */
function taken(header: ChannelHeader): void {
  if (header.t === "job") {
    const { t: _, ...job } = header;
    demand(
      typeof jobProblem(crypto, { engine: "e", doesRuns: true, hasRuntime: () => false }, ORDERED, job as WasmJob) === "string",
      "a job of nobody runs",
    );
    jobMisfit({ ...header, stdinSize: header.stdinSize, moduleSize: header.moduleSize });
    entriesByRun(header.inputs.entries, header.spec.runs?.length ?? 0);
  }
  if (header.t === "vm") {
    const host = { engine: "e", overheadMib: 100 };
    demand(typeof machineProblem(crypto, host, ORDERED, header) === "string", "a machine of nobody runs");
  }
  if (header.t === "ended") {
    const streams = { difference: () => null } as unknown as Parameters<typeof bytesProblem>[3];
    const client = { crypto } as unknown as Parameters<typeof bytesProblem>[0];
    const result = { outputDigest: ID } as unknown as Parameters<typeof bytesProblem>[1];
    demand(bytesProblem(client, result, header.tree, streams) !== null, "a tree of nobody is the one that was signed");
  }
}

const header: Target = {
  name: "channel-header",
  covers: ["protocol/src/channel/channel-messages.ts#parseChannelHeader", "sdk/src/session/result.ts#bytesProblem"],
  corpus: async () => headerTexts,
  mutate: bentJson,
  play(input) {
    const parsed = parseChannelHeader(textOf(input));
    if (!parsed) return REFUSED;
    if (parsed.t === "unreadable") return (demand(parsed.why.isWellFormed(), "a refusal is no text"), parsed.t);
    const again = parseChannelHeader(JSON.stringify(parsed));
    demand(JSON.stringify(again) === JSON.stringify(parsed), "a message is another one once it is written again");
    taken(parsed);
    return ACCEPTED;
  },
};

const RUN_END = {
  ...{ ending: "exit", exitCode: 0, fuel: "12", memoryHash: ID },
  ...{ stdoutBytes: 3, stdoutDigest: ID, stderrBytes: 0, stderrDigest: ID },
};
const runEnds: Target = {
  name: "run-ends",
  covers: ["protocol/src/job-runs.ts#parseRunEnds"],
  corpus: async () =>
    [[RUN_END], [RUN_END, { ...RUN_END, ending: "trap", exitCode: 134, memoryHash: null }]].map((each) => bytesOf(JSON.stringify(each))),
  mutate: bentJson,
  play(input) {
    const ends = parseRunEnds(input);
    if (!ends) return REFUSED;
    const bill = { dueNanos: 7n, ownerNanos: 5n, feeNanos: 2n, refundNanos: 0n, billableFuel: 11n, billableMs: 3 };
    const bills = billsOf(bill, ends, ends.length + 1);
    demand(bills.reduce((sum, { dueNanos }) => sum + dueNanos, 0n) === bill.dueNanos, "the parts of a bill are not the bill");
    demand(
      bills.every(({ dueNanos }) => dueNanos >= 0n),
      "a part of a bill is less than nothing",
    );
    return ACCEPTED;
  },
};

const tree: Target = {
  name: "result-tree",
  covers: ["sdk/src/tree-plan.ts#foldersOf", "sdk/src/tree-plan.ts#pathProblem", "sdk/src/tree-plan.ts#refusedLinks"],
  corpus: async () =>
    [TREE, [{ path: "a/b", kind: "link", target: "../../x" }, ...TREE]].map((each) =>
      bytesOf(JSON.stringify({ t: "ended", result: ENVELOPE, tree: each, stdoutSize: 0, stderrSize: 0 })),
    ),
  mutate: bentJson,
  async play(input) {
    const parsed = parseChannelHeader(textOf(input));
    if (parsed?.t !== "ended") return REFUSED;
    for (const { path } of parsed.tree) pathProblem("/srv/out", path);
    const outcome = byThrowing(() => foldersOf(parsed.tree), Error);
    const links = parsed.tree.filter((entry) => entry.kind === "link");
    if (outcome === ACCEPTED) {
      const files = parsed.tree.flatMap(({ kind, path }) => (kind === "file" ? [path] : []));
      await refusedLinks(links, foldersOf(parsed.tree), files, async () => null);
    }
    return outcome;
  },
};

/** A pipe of which one end is the fuzzer's. */
class Hand implements Pipe {
  readonly sent: Uint8Array[] = [];
  isOpen = true;
  #message: (message: string | Uint8Array) => void = () => {};
  #close: () => void = () => {};

  send(message: string | Uint8Array): void {
    if (typeof message !== "string") this.sent.push(message);
  }
  close(): void {
    if (this.isOpen) this.#close();
    this.isOpen = false;
  }
  onMessage(handler: (message: string | Uint8Array) => void): void {
    this.#message = handler;
  }
  onClose(handler: () => void): void {
    this.#close = handler;
  }
  give(message: string | Uint8Array): void {
    if (this.isOpen) this.#message(message);
  }
}

const server = channelKeyPair(new Uint8Array(32).fill(1));
const customer = channelKeyPair(new Uint8Array(32).fill(2));

/** The first packet of a customer, by a key that is the same in every run. */
function hello(seed: number): Uint8Array {
  const noise = Object.assign(new Noise("IK", true, customer), { e: channelKeyPair(new Uint8Array(32).fill(seed)) });
  noise.initialise(Buffer.from(bytesOfHex(ID)), Buffer.from(server.publicKey));
  return new Uint8Array(noise.send());
}

const frame = (head: Uint8Array, body: Uint8Array = new Uint8Array()): Uint8Array => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(head.length);
  return new Uint8Array(Buffer.concat([Buffer.from([0]), length, head, body]));
};

const handshake: Target = {
  name: "noise",
  covers: ["protocol/src/channel/channel.ts#respondChannel"],
  corpus: async () => [1, 2, 3].map(hello),
  mutate: bentBytes,
  play(input) {
    const pipe = new Hand();
    let ready = false;
    respondChannel(pipe, server, toHex(customer.publicKey), ID, () => (ready = true));
    pipe.give(input);
    demand(pipe.isOpen === ready, "a handshake that was refused leaves its pipe open");
    return ready ? ACCEPTED : REFUSED;
  },
};

const KEYS = { rx: Buffer.alloc(32, 3), tx: Buffer.alloc(32, 4) };

/** Bytes in packets that are rightly encrypted: the first byte says into how many they are cut, the rest of each is what stands in it. */
const packets: Target = {
  name: "noise-packets",
  covers: ["protocol/src/channel/channel.ts#SecureChannel"],
  corpus: async () =>
    headerTexts.flatMap((head) => [1, 2, 3].map((cuts) => Buffer.concat([Buffer.from([cuts]), frame(head, bytesOf("body"))]))),
  mutate(input, random, others) {
    if (random.chance(0.5)) return bentBytes(input, random, others);
    const length = new DataView(input.buffer, input.byteOffset).getUint32(2);
    const head = bentJson(input.slice(6, 6 + length), random, [random.pick(headerTexts)]);
    return new Uint8Array(Buffer.concat([input.subarray(0, 1), frame(head, input.subarray(6 + length))]));
  },
  async play(input) {
    const pipe = new Hand();
    const channel = new SecureChannel(pipe, KEYS, parseChannelHeader);
    const heard: ChannelHeader[] = [];
    channel.onMessage((message) => void heard.push(message));
    const cipher = new Cipher(KEYS.tx);
    const [cuts = 1, what = 0] = input;
    const parts = 1 + (cuts % 4);
    const whole = input.subarray(2);
    for (let i = 0; i < parts; i++) {
      const part = whole.subarray((whole.length * i) / parts, (whole.length * (i + 1)) / parts);
      pipe.give(cipher.encrypt(Buffer.concat([Buffer.from([i < parts - 1 ? 1 : what]), part])));
    }
    await new Promise(setImmediate);
    demand(heard.length <= 1, "one message is heard twice");
    return pipe.isOpen ? (heard.length > 0 ? ACCEPTED : "more") : REFUSED;
  },
};

const BROKER = [
  { t: "hello", protocol: 1, login: ENVELOPE, clock: 1 },
  { t: "submit", ref: 1, envelope: ENVELOPE, delivery: ENVELOPE },
  { t: "channel-open", lease: ID, session: ID.slice(0, 32) },
  { t: "ping" },
  {
    t: "welcome",
    party: `p_${"0".repeat(40)}`,
    live: { grants: [ENVELOPE], filed: [{ envelope: ENVELOPE, at: 1 }] },
    clock: { offsetMs: 1, errorMs: 1, allowedMs: 1 },
  },
  { t: "answer", ref: 1, answer: { lease: ID } },
  { t: "event", event: { kind: "x", lease: null, data: {}, at: 1 } },
  { t: "channel-close", session: ID.slice(0, 32), why: "x" },
];

const link: Target = {
  name: "link-message",
  covers: ["protocol/src/link/messages.ts#parseMessage", "protocol/src/link/messages.ts#parseChannelMessage"],
  corpus: async () => BROKER.map((each) => bytesOf(JSON.stringify(each))),
  mutate: (input, random, others) => (random.chance(0.9) ? bentJson : bentBytes)(input, random, others),
  play(input) {
    const relayed = parseChannelMessage(input);
    demand(!relayed || equalBytes(channelMessage(relayed.session, relayed.bytes), input), "a relayed message is another one");
    const message = parseMessage(zToBroker, input) ?? parseMessage(zFromBroker, input);
    if (!message) return REFUSED;
    demand(parseUtf8(input) !== null, "a message is no text");
    return ACCEPTED;
  },
};

const context = { lease: ID, result: ID };
const file = bytesOf("hello");
const SHAPE = {
  tree: [{ path: "a", kind: "file" as const, digest: toHex(crypto.sha256(file)), size: file.length }],
  stdoutSize: 3,
  stderrSize: 0,
};
const suite = new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes128Gcm() });

/** As a server seals the first part, whatever stands in it. */
async function sealedOf(plain: Uint8Array): Promise<Uint8Array> {
  const recipientPublicKey = await suite.kem.deserializePublicKey(customer.publicKey);
  const info = bytesOf(`xenoservers sealed result\n${context.lease}\n${context.result}\n0\n`);
  const ekm = await suite.kem.deriveKeyPair(new Uint8Array(32).fill(5).buffer); // the same in every run
  const { enc, ct } = await suite.seal({ recipientPublicKey, info, ekm }, plain);
  return new Uint8Array(Buffer.concat([Buffer.from(enc), Buffer.from(ct)]));
}

const PLAIN = new Uint8Array(Buffer.concat([frame(canonicalBytes(SHAPE)).subarray(1), file, Buffer.from("out")]));

const sealed: Target = {
  name: "sealed-part",
  covers: ["protocol/src/sealed.ts#openSealed"],
  corpus: async () => [await sealedOf(PLAIN)],
  mutate: bentBytes,
  async play(input) {
    const opened = await openSealed(crypto, customer.secretKey, context, async (which) => (which === 0 ? input : new Uint8Array()));
    demand(!opened || opened.tree.length === SHAPE.tree.length, "what is opened is not what was sealed");
    return opened ? ACCEPTED : REFUSED;
  },
};

const unsealed: Target = {
  name: "sealed-result",
  covers: ["protocol/src/sealed.ts#readSealed"],
  corpus: async () => [PLAIN],
  mutate(input, random, others) {
    if (random.chance(0.4)) return bentBytes(input, random, others);
    const length = new DataView(input.buffer, input.byteOffset).getUint32(0);
    const head = input.slice(4, 4 + length);
    return new Uint8Array(Buffer.concat([frame(bentJson(head, random, [head])).subarray(1), input.subarray(4 + length)]));
  },
  async play(input) {
    const opened = await readSealed(crypto, async (which) => (which === 0 ? input : new Uint8Array()));
    if (!opened) return REFUSED;
    for (const entry of opened.tree)
      if (entry.kind === "file")
        demand(opened.files.get(entry.digest)?.length === entry.size, "a file has another size than its tree says");
    return ACCEPTED;
  },
};

export const CHANNEL_TARGETS: readonly Target[] = [header, tree, runEnds, handshake, packets, link, sealed, unsealed];
