/** What guests, images and machines hand to an owner's daemon. */
import { readFile, writeFile } from "node:fs/promises";
import { createHash } from "node:crypto";
import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import path from "node:path";
import { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { gzipSync, zstdCompressSync } from "node:zlib";
import packet from "dns-packet";
import { TarDamage, readTar, type TarEntry } from "@xenoservers/protocol/archive";
import type { InputEntry } from "@xenoservers/protocol/channel";
import { canonicalBytes, ifCanonical, jsonIn, vmJobHashOf, vmSpecProblem, zVmSpec } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { PACKING_BYTES, isDamage, packingOf, unpackers } from "@xenoservers/protocol/unpack";
import { JsonLines, QMP_LINE_BYTES_MAX, QmpError } from "../../../packages/guests/src/qemu/machine/qmp.ts";
import { planVm } from "../../../packages/guests/src/qemu/machine/plan.ts";
import { answerQuestion } from "../../../packages/guests/src/qemu/network/questions.ts";
import { ImageTree } from "../../../packages/guests/src/qemu/oci/image-tree.ts";
import { atOnce } from "../../../packages/guests/src/qemu/oci/in-steps.ts";
import { PortReader } from "../../../packages/guests/src/qemu/oci/port-reader.ts";
import { TooMuch, readEntries, readTree } from "../../../packages/guests/src/qemu/oci/returned-tree.ts";
import { Refusal } from "../../../packages/guests/src/qemu/refusal.ts";
import { parseIndex } from "../../../packages/guests/src/worker/handing.ts";
import { parseWorkerResult } from "../../../packages/xenoserver/src/drivers/wasm/worker-result.ts";
import { archives, handleOf } from "../archives.ts";
import { bentBytes } from "../mutate/bytes.ts";
import { bentJson } from "../mutate/json.ts";
import { bentTar } from "../mutate/tar.ts";
import { isForFiles, playFolder } from "../on-disk.ts";
import { ACCEPTED, REFUSED, byRejecting, bytesOf, demand, textOf, type Target } from "../target.ts";

const ID = "ab".repeat(32);

const ENTRIES_MAX = 5_000;
function checkEntry({ size, pieces, major, minor, mode }: TarEntry, archiveBytes: number): void {
  let end = 0;
  for (const { at, from, length } of pieces) {
    demand(at >= end && length > 0, "the pieces of a file lie over each other");
    demand(from >= 0 && from + length <= archiveBytes, "a piece lies outside the archive");
    end = at + length;
  }
  demand(Number.isSafeInteger(size) && size >= end, "a file is smaller than its pieces");
  demand([major, minor, mode].every(Number.isSafeInteger), "a number of an entry is none");
}

const tar: Target = {
  name: "tar",
  covers: ["protocol/src/archive/tar-read.ts#readTar", "guests/src/qemu/oci/image-tree.ts#ImageTree"],
  corpus: archives,
  mutate: bentTar,
  play: (input) =>
    byRejecting(
      async () => {
        const entries: TarEntry[] = [];
        for await (const entry of readTar(handleOf(input), input.length)) {
          checkEntry(entry, input.length);
          demand(entries.push(entry) <= ENTRIES_MAX, "an archive of a megabyte holds more than it can");
        }
        const image = new ImageTree();
        atOnce(image.applying(() => entries, 0));
        image.group();
        atOnce(image.applying(() => entries, 1));
      },
      Refusal,
      TarDamage,
    ),
};

async function returnedInMemory(input: Uint8Array): Promise<InputEntry[]> {
  const kept = new Map<string, number>();
  const entries = await readEntries(handleOf(input), input.length, async (file) => {
    const hash = createHash("sha256");
    let bytes = 0;
    for await (const piece of file) {
      hash.update(piece);
      bytes += piece.length;
    }
    const digest = hash.digest("hex");
    kept.set(digest, bytes);
    return digest;
  });
  for (const entry of entries) {
    demand(!entry.path.split("/").includes(".."), "what is handed back leads outside");
    demand(entry.kind !== "file" || kept.get(entry.digest) === entry.size, "a file has another size than is said");
  }
  return entries;
}

async function returnedInFiles(input: Uint8Array): Promise<InputEntry[]> {
  const archive = path.join(playFolder(), "archive");
  await writeFile(archive, input);
  const entries = await readTree(archive, playFolder());
  for (const entry of entries) {
    if (entry.kind !== "file") continue;
    const kept = await readFile(path.join(playFolder(), entry.digest));
    demand(kept.length === entry.size, "a file is kept with another size than is said");
  }
  return entries;
}

const returned: Target = {
  name: "returned-tree",
  covers: ["guests/src/qemu/oci/returned-tree.ts#readTree", "guests/src/qemu/oci/returned-tree.ts#readEntries"],
  corpus: archives,
  mutate: bentTar,
  async play(input) {
    let entries: InputEntry[] = [];
    const outcome = await byRejecting(async () => void (entries = await returnedInMemory(input)), Refusal, TooMuch);
    if (!isForFiles(input)) return outcome;
    let inFiles: InputEntry[] = [];
    const again = await byRejecting(async () => void (inFiles = await returnedInFiles(input)), Refusal, TooMuch);
    demand(again === outcome && JSON.stringify(inFiles) === JSON.stringify(entries), "another tree is read from a file");
    return outcome;
  },
};

async function unpackedBytes(input: Uint8Array): Promise<number> {
  const found = packingOf(input.subarray(0, PACKING_BYTES));
  const through = found.ok ? unpackers(found.packing) : null;
  if (!through) throw new Refusal("bytes", "it is packed with something else");
  let bytes = 0;
  const count = new Writable({
    write(chunk: Buffer, _, done) {
      bytes += chunk.length;
      done();
    },
  });
  await pipeline([Readable.from([input.subarray(0, 7), input.subarray(7)].map((part) => Buffer.from(part))), ...through, count]);
  return bytes;
}

const packed: Target = {
  name: "packed-layer",
  covers: ["protocol/src/unpack/unpack.ts#unpackers", "protocol/src/unpack/packing.ts#packingOf", "protocol/src/unpack/unpack.ts#isDamage"],
  async corpus() {
    const whole = (await archives()).map((bytes) => bytes.subarray(0, 4_096));
    const frames = whole.map((bytes) => Buffer.concat([zstdCompressSync(bytes), zstdCompressSync("more")]));
    return [...frames, ...whole.map((bytes) => Buffer.concat([gzipSync(bytes), gzipSync("more")]))].map((each) => new Uint8Array(each));
  },
  mutate: bentBytes,
  play: async (input) => {
    try {
      await unpackedBytes(input);
      return ACCEPTED;
    } catch (error) {
      if (error instanceof Refusal || isDamage(error)) return REFUSED;
      throw error;
    }
  },
};

const QUESTIONS = ["example.com", "a.b.c.d.example", "xn--bcher-kva.example", "localhost"].flatMap((name) =>
  (["A", "AAAA", "TXT", "SRV", "ANY"] as const).map((type) =>
    packet.encode({ type: "query", id: 7, flags: 256, questions: [{ type: type as "A", name }] }),
  ),
);

const question: Target = {
  name: "dns-question",
  covers: ["guests/src/qemu/network/questions.ts#answerQuestion"],
  corpus: async () => QUESTIONS.map((each) => new Uint8Array(each)),
  mutate: bentBytes,
  async play(input) {
    const answer = await answerQuestion(Buffer.from(input), async (name) => (name.length % 2 === 0 ? ["192.0.2.1"] : "refused"));
    if (!answer) return REFUSED;
    const read = packet.decode(answer);
    const asked = packet.encode({ type: "query", questions: read.questions }).subarray(12);
    demand(read.type === "response" && read.id === Buffer.from(input).readUInt16BE(0), "an answer is to another question");
    demand(asked.equals(input.subarray(12, 12 + asked.length)), "an answer says another question than was asked");
    return ACCEPTED;
  },
};

/** A socket of which the other end is the fuzzer's. */
class Wire extends EventEmitter {
  destroyed = false;
  write(): boolean {
    return true;
  }
  destroy(): this {
    this.destroyed = true;
    this.emit("close");
    return this;
  }
}

const LINES = [
  { return: {} },
  { error: { class: "GenericError", desc: "no" } },
  { event: "SHUTDOWN", data: { guest: true }, timestamp: { seconds: 1, microseconds: 2 } },
  { return: { status: "running", singlestep: false, running: true } },
  { return: 12_345 },
  { QMP: { version: {}, capabilities: [] } },
];

const qmp: Target = {
  name: "qmp",
  covers: ["guests/src/qemu/machine/qmp.ts#JsonLines"],
  corpus: async () => LINES.map((line) => bytesOf(JSON.stringify(line))),
  mutate: (input, random, others) => (random.chance(0.8) ? bentJson : bentBytes)(input, random, others),
  async play(input) {
    const wire = new Wire();
    const lines = new JsonLines(wire as unknown as Socket, QMP_LINE_BYTES_MAX);
    const answered = lines.execute("query-status").then(
      () => ACCEPTED,
      (error: unknown) => (error instanceof QmpError ? "QmpError" : Promise.reject(error)),
    );
    wire.emit("data", Buffer.from(input));
    wire.emit("data", Buffer.from("\n"));
    lines.close();
    return answered;
  },
};

const LINE_BYTES = 512;
/** What a guest says on its job's port: the first byte is how it comes in pieces, the rest is what it says. */
const port: Target = {
  name: "job-port",
  covers: ["guests/src/qemu/oci/port-reader.ts#PortReader"],
  corpus: async () =>
    ["\u0003ready\nset\n", `\u0040noise ready\nrefused limits ${"word ".repeat(150)}\n${ID} 0\n`, "\u0001\n\n\r\n\0\nend"].map(bytesOf),
  mutate: bentBytes,
  async play(input) {
    const [size = 1, ...said] = input;
    const pieces: Buffer[] = [];
    for (let at = 0; at < said.length; at += 1 + size) pieces.push(Buffer.from(said.slice(at, at + 1 + size)));
    const reader = new PortReader(Readable.from(pieces));
    const lines: string[] = [];
    for (let line = await reader.line(String); line !== null; line = await reader.line(String)) lines.push(line);
    const right = Buffer.from(said).toString("latin1").split("\n").slice(0, -1);
    demand(JSON.stringify(lines) === JSON.stringify(right.map((line) => line.slice(-LINE_BYTES))), "a line is read that nobody said");
    return lines.length > 0 ? ACCEPTED : REFUSED;
  },
};

const ENDED = {
  ...{ ending: "exit", exitCode: 0, detail: "", fuel: "10", fuelInAll: "10", memoryHash: ID, roots: [ID], stateRoot: null },
  endedMonotonicMs: 1,
  tree: [
    { path: "out/a", kind: "file", digest: ID, size: 3 },
    { path: "out/l", kind: "link", target: "a" },
  ],
};

/** What a guest process that is no longer this program's writes of its end. */
const result: Target = {
  name: "worker-result",
  covers: ["xenoserver/src/drivers/wasm/worker-result.ts#parseWorkerResult"],
  corpus: async () => ["exit", "segment-end", "stopped"].map((ending) => bytesOf(JSON.stringify({ ...ENDED, ending }))),
  mutate: bentJson,
  play(input) {
    const ending = parseWorkerResult(jsonIn(textOf(input)));
    if (ending.kind !== "result") return REFUSED;
    canonicalBytes([ending.tree, ending.exitCode, ending.memoryHash, ending.stateRoot]); // as it is signed
    return ACCEPTED;
  },
};

const PLACES = [0, 3, 2 ** 40].map((at) => {
  const numbers = Buffer.alloc(16);
  numbers.writeBigUInt64LE(BigInt(at));
  numbers.writeUInt32LE(7, 8);
  return Buffer.concat([Buffer.alloc(32, at % 251), numbers]);
});

/** Where it says that the contents lie which it kept. */
const index: Target = {
  name: "kept-index",
  covers: ["guests/src/worker/handing.ts#parseIndex"],
  corpus: async () => [Buffer.concat(PLACES), Buffer.concat(PLACES.slice(1))],
  mutate: bentBytes,
  play(input) {
    const places = parseIndex(input);
    for (const [digest, { at, size }] of places)
      demand(/^[0-9a-f]{64}$/.test(digest) && at >= 0 && size >= 0 && Number.isSafeInteger(at + size), "a place is none in any file");
    demand(places.size <= input.length / 48, "more is kept than is said");
    return places.size > 0 ? ACCEPTED : REFUSED;
  },
};

const SPEC = {
  ...{ machine: "q35", firmware: "bios", devices: "virtio", tpm: false, vcpu: 1, memoryMib: 192, diskMib: 64, outputMibMax: 1 },
  ...{ network: false, egress: "none", inputs: ID, engine: null, fuelMax: "1000", seed: ID, clockBaseMs: 1_800_000_000_000 },
};
const LAYERS = [{ digest: ID, compression: "gzip" }];
const MACHINES = [
  { ...SPEC, vm: { kind: "kernel", kernel: ID, initrd: null, append: "console=ttyS0 quiet" } },
  { ...SPEC, engine: "q", machine: "pc", vm: { kind: "kernel", kernel: ID, initrd: ID, append: "console=ttyS0" } },
  { ...SPEC, machine: "microvm", diskMib: 0, vm: { kind: "snapshot", snapshot: ID } },
  {
    ...{ ...SPEC, network: true, egress: "names", firmware: "uefi", memoryMib: 2_048, tpm: true, screen: true },
    vm: { kind: "disk", image: { digest: ID, format: "qcow2", url: null }, iso: null, seed: [{ name: "user-data", digest: ID }] },
  },
  { ...SPEC, vm: { kind: "oci", image: ID, layers: LAYERS, args: ["sh"], env: ["A=b"], workdir: "/", user: "", hostname: "h" } },
];

/** What a customer's specification makes of QEMU's command line. */
const machine: Target = {
  name: "vm-plan",
  covers: ["guests/src/qemu/machine/plan.ts#planVm"],
  corpus: async () => MACHINES.map((each) => bytesOf(JSON.stringify(each))),
  mutate: bentJson,
  play(input) {
    const read = zVmSpec.safeParse(jsonIn(textOf(input)));
    if (!read.success || vmSpecProblem(read.data) !== null) return REFUSED;
    const spec = read.data;
    if (ifCanonical(() => vmJobHashOf(nodeCrypto, spec)) === null) return "unsigned";
    const deterministic = spec.engine !== null && spec.vm.kind === "kernel";
    const files = {
      kernel: "/k",
      initrd: "/i",
      firmwareCode: "/f",
      layers: ["/l"],
      seed: "/s",
      base: { path: "/b", format: "raw" as const },
    };
    const rest = { diskIopsMax: 10, diskBytesPerSecondMax: 10, restore: null, sharedMemory: null };
    const words = planVm({ spec, accel: "tcg", files, ...rest, deterministic });
    demand(
      words.every((word) => word.isWellFormed() && !word.includes("\0")),
      "a word of the command line is none that a program can be given",
    );
    const clock = words.find((word) => word.startsWith("base="));
    demand(!deterministic || /^base=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d,clock=vm$/.test(clock ?? ""), "a clock begins at no date");
    return ACCEPTED;
  },
};

export const GUEST_TARGETS: readonly Target[] = [tar, returned, packed, question, qmp, port, result, index, machine];
