/** What guests, images and machines hand to an owner's daemon. */
import { mkdtempSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { gzipSync, zstdCompressSync } from "node:zlib";
import packet from "dns-packet";
import { PACKING_BYTES, isDamage, packingOf, unpackers } from "@xenoservers/protocol/unpack";
import { JsonLines, QMP_LINE_BYTES_MAX, QmpError } from "../../../packages/guests/src/qemu/machine/qmp.ts";
import { answerQuestion } from "../../../packages/guests/src/qemu/network/questions.ts";
import { ImageTree } from "../../../packages/guests/src/qemu/oci/image-tree.ts";
import { TooMuch, readTree } from "../../../packages/guests/src/qemu/oci/returned-tree.ts";
import { readTar, type TarEntry } from "../../../packages/guests/src/qemu/oci/tar-read.ts";
import { Refusal } from "../../../packages/guests/src/qemu/refusal.ts";
import { archives } from "../archives.ts";
import { bentBytes } from "../mutate/bytes.ts";
import { bentJson } from "../mutate/json.ts";
import { bentTar } from "../mutate/tar.ts";
import { ACCEPTED, REFUSED, byRejecting, bytesOf, demand, type Target } from "../target.ts";

/** A file of these bytes, as far as readers of archives ask. */
function handleOf(bytes: Uint8Array): FileHandle {
  const read = async (into: Buffer, at: number, length: number, from: number) => {
    const part = bytes.subarray(from, from + length);
    into.set(part, at);
    return { bytesRead: part.length, buffer: into };
  };
  return { read } as unknown as FileHandle;
}

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
  covers: ["guests/src/qemu/oci/tar-read.ts#readTar", "guests/src/qemu/oci/image-tree.ts#ImageTree"],
  corpus: archives,
  mutate: bentTar,
  play: (input) =>
    byRejecting(async () => {
      const entries: TarEntry[] = [];
      for await (const entry of readTar(handleOf(input), input.length)) {
        checkEntry(entry, input.length);
        demand(entries.push(entry) <= ENTRIES_MAX, "an archive of a megabyte holds more than it can");
      }
      const image = new ImageTree();
      image.apply(entries, 0);
      image.group();
      image.apply(entries, 1);
    }, Refusal),
};

const folder = mkdtempSync(path.join(tmpdir(), "xeno-fuzz-"));
process.once("exit", () => void rm(folder, { recursive: true, force: true }));

const returned: Target = {
  name: "returned-tree",
  covers: ["guests/src/qemu/oci/returned-tree.ts#readTree"],
  corpus: archives,
  mutate: bentTar,
  async play(input) {
    const archive = path.join(folder, "archive");
    await writeFile(archive, input);
    return byRejecting(
      async () => {
        for (const entry of await readTree(archive, folder)) {
          demand(!entry.path.split("/").includes(".."), "what is handed back leads outside");
          if (entry.kind !== "file") continue;
          const kept = await readFile(path.join(folder, entry.digest));
          demand(kept.length === entry.size, "a file has another size than is said");
        }
      },
      Refusal,
      TooMuch,
    );
  },
  count: 50_000,
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
  covers: ["protocol/src/unpack/unpack.ts#unpackers", "protocol/src/unpack/unpack.ts#packingOf", "protocol/src/unpack/unpack.ts#isDamage"],
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
  count: 200_000,
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
    demand(read.type === "response" && read.id === Buffer.from(input).readUInt16BE(0), "an answer is to another question");
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

export const GUEST_TARGETS: readonly Target[] = [tar, returned, packed, question, qmp];
