/** What a server hears on the port where other servers of its owner hand leases over: its framing, what is said in clear, and after that. */
import type { Socket } from "node:net";
import { duplexPair } from "node:stream";
import { movePipe } from "../../../packages/xenoserver/src/move/move-pipe.ts";
import {
  parseHanded,
  parseHandedOver,
  parseLeaseSaid,
  parseLogPart,
  parseMoveHeader,
  parseOfferSaid,
} from "../../../packages/xenoserver/src/move/move-messages.ts";
import { bentBytes } from "../mutate/bytes.ts";
import { bentJson } from "../mutate/json.ts";
import { ACCEPTED, REFUSED, bytesOf, demand, textOf, type Target } from "../target.ts";

const ID = "ab".repeat(32);
const ENVELOPE = {
  payloadType: "application/vnd.xenoservers.offer.v1+json",
  payload: "e30=",
  signatures: [{ keyid: ID, sig: `${"A".repeat(86)}==` }],
};
const FILED = { envelope: ENVELOPE, at: 1 };
const SPEC = {
  ...{ vm: { kind: "kernel", kernel: ID, initrd: null, append: "quiet" }, machine: "q35", firmware: "bios", devices: "virtio", tpm: false },
  ...{ vcpu: 1, memoryMib: 64, diskMib: 1, outputMibMax: 1, network: false, egress: "none", inputs: ID, engine: null, fuelMax: "1" },
  ...{ seed: ID, clockBaseMs: 0 },
};
const WORK = { t: "vm", spec: SPEC, inputs: { entries: [], mounts: [] }, blobs: [{ digest: ID, size: 3 }] };

const message: Target = {
  name: "move-message",
  covers: ["MoveHeader", "OfferSaid", "LeaseSaid", "Handed", "HandedOver", "LogPart"].map(
    (what) => `xenoserver/src/move/move-messages.ts#parse${what}`,
  ),
  corpus: async () =>
    [
      ...[{ t: "lease" }, { t: "file", name: "state" }, { t: "carried" }, { t: "handover" }, { t: "yes" }, { t: "no", why: "full" }],
      ...[{ offer: ENVELOPE }, { lease: ID, channelKey: ID }, { t: "log" }, { t: "logged" }],
      { grants: [ENVELOPE], filed: [FILED] },
      ...[null, ENVELOPE].map((move) => ({ grants: [], po: FILED, acceptance: ENVELOPE, move, work: WORK, keptMib: move && 7 })),
      ...[true, false].map((pausedByCustomer) => ({ handover: ENVELOPE, pausedByCustomer })),
    ].map((each) => bytesOf(JSON.stringify(each))),
  mutate: bentJson,
  play(input) {
    const text = textOf(input);
    const header = parseMoveHeader(text);
    if (header?.t === "file") demand(!/[/\\]|^\.|\0/.test(header.name), "a file's name leads out of its folder");
    const all = [header, parseOfferSaid(text), parseLeaseSaid(text), parseHanded(input), parseHandedOver(input), parseLogPart(input)];
    return all.some((each) => each !== null) ? ACCEPTED : REFUSED;
  },
};

const framed = (isText: number, bytes: Uint8Array): Buffer => {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(bytes.length);
  head[4] = isText;
  return Buffer.concat([head, bytes]);
};

const pipe: Target = {
  name: "move-pipe",
  covers: ["xenoserver/src/move/move-pipe.ts#movePipe"],
  corpus: async () => [framed(1, bytesOf('{"offer":{}}')), Buffer.concat([framed(0, bytesOf("abc")), framed(0, new Uint8Array(0))])],
  mutate: bentBytes,
  async play(input) {
    const [own, other] = duplexPair();
    const socket = Object.assign(other, { setKeepAlive: () => {}, setNoDelay: () => {} }) as unknown as Socket;
    let heard = 0;
    movePipe(socket).onMessage((what) => (heard += 5 + (typeof what === "string" ? Buffer.byteLength(what) : what.length)));
    own.write(input.subarray(0, input.length / 2));
    own.write(input.subarray(input.length / 2));
    await new Promise(setImmediate);
    await new Promise(setImmediate);
    demand(heard <= input.length, "more is heard than was said");
    const isOver = socket.destroyed;
    own.destroy();
    socket.destroy();
    return isOver ? REFUSED : heard > 0 ? ACCEPTED : "more";
  },
};

export const MOVE_TARGETS: readonly Target[] = [message, pipe];
