/**
 * The host's end of the port `xeno.job` of an OCI guest (init/init.pl): waits until it is ready, gives it its job, takes what it hands back. Can be
 * opened again after the daemon was killed. Who controls the inputs: the guest, every byte.
 */
import { createHash, randomBytes } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdir, rename } from "node:fs/promises";
import type { Socket } from "node:net";
import path from "node:path";
import { PassThrough, Transform, type Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { InputEntry } from "@xenoservers/protocol/channel";
import { extract } from "tar-stream";
import { connectSocket } from "../machine/qmp.ts";

export interface OciJob {
  args: readonly string[];
  env: readonly string[];
  workdir: string;
  user: string;
  hostname: string;
  /** Paths that are handed back. */
  keep: readonly string[];
}

/** Known before the job is sent, so that a later daemon finds the guest's answer again. */
export const newToken = (): string => randomBytes(16).toString("hex");

function settings(job: OciJob, token: string): Buffer {
  const pairs: [string, string][] = [
    ["token", token],
    ["entropy", randomBytes(64).toString("hex")],
    ["machine", randomBytes(16).toString("hex")],
    ["time", String(Math.floor(Date.now() / 1_000))],
    ["hostname", job.hostname],
    ["workdir", job.workdir],
    ["user", job.user],
    ["keep", job.keep.join(":")],
    ...job.args.map((arg): [string, string] => ["arg", arg]),
    ...job.env.map((each): [string, string] => ["env", each]),
  ];
  return Buffer.from(pairs.map(([key, value]) => `${key}=${value}`).join("\0"));
}

const READY = "ready\n";
const TREE_ENTRIES_MAX = 100_000;

export interface OciEnd {
  exitCode: number;
  tree: InputEntry[];
}

/** Reads a socket in pieces of known size. */
class Reader {
  #chunks: Buffer[] = [];
  #size = 0;
  #closed = false;
  #wake: () => void = () => {};

  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (bytes: Buffer) => {
      this.#chunks.push(bytes);
      this.#size += bytes.length;
      if (this.#size > 8 * 1024 * 1024) socket.pause();
      this.#wake();
    });
    socket.on("close", () => {
      this.#closed = true;
      this.#wake();
    });
  }

  /** Up to `most` bytes, at least one; null when it is closed. */
  async some(most: number): Promise<Buffer | null> {
    while (this.#size === 0) {
      if (this.#closed) return null;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    const all = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
    const part = all.subarray(0, most);
    this.#chunks = part.length === all.length ? [] : [all.subarray(part.length)];
    this.#size = all.length - part.length;
    this.#socket.resume();
    return part;
  }

  /** Whatever comes up to and with `marker` and the end of its line; null when closed. */
  async lineWith(marker: string): Promise<string | null> {
    let line = "";
    for (;;) {
      const byte = await this.some(1);
      if (byte === null) return null;
      if (byte[0] !== 10) line = (line + String.fromCharCode(byte[0]!)).slice(-200);
      else if (line.includes(marker)) return line.slice(line.indexOf(marker));
      else line = "";
    }
  }
}

export class JobPort {
  readonly #socket: Socket;
  readonly #reader: Reader;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#reader = new Reader(socket);
  }

  static async open(file: string): Promise<JobPort> {
    return new JobPort(await connectSocket(file));
  }

  /** Whether the guest came so far; false when it went away. */
  async ready(): Promise<boolean> {
    return (await this.#reader.lineWith(READY.trim())) !== null;
  }

  async give(job: OciJob, token: string, tar: Readable, tarBytes: number): Promise<void> {
    const head = settings(job, token);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(head.length);
    const size = Buffer.alloc(8);
    size.writeBigUInt64BE(BigInt(tarBytes));
    this.#socket.write(Buffer.concat([length, head, size]));
    await pipeline(tar, this.#socket, { end: false }).catch((error: unknown) => {
      if (tar.errored) throw error; // else the guest went away: its end says why
    });
  }

  /** To a guest that goes on from a snapshot: random numbers and the time, before it does anything else. */
  renew(): void {
    const time = Buffer.alloc(8);
    time.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 1_000)));
    this.#socket.write(Buffer.concat([Buffer.from("S"), randomBytes(64), time]));
  }

  /** Asks for the answer again: after the daemon was restarted. */
  ask(): void {
    this.#socket.write("A");
  }

  /** How the job ended; its files go into `folder` by digest. Null when the guest went away before. Throws where what it sends is nonsense. */
  async end(token: string, folder: string, bytesMax: number): Promise<OciEnd | null> {
    const line = await this.#reader.lineWith(token);
    if (line === null) return null;
    const match = /^[0-9a-f]{32} (\d{1,3}) (\d{1,15})$/.exec(line);
    if (!match || Number(match[1]) > 255) throw new Error("the guest's last message makes no sense");
    const size = Number(match[2]);
    if (size > bytesMax) throw new Error("the guest hands back more than its disk can hold");
    const tree = size === 0 ? [] : await this.#files(size, folder);
    if (tree === null) return null;
    return { exitCode: Number(match[1]), tree };
  }

  /** The host has it all. */
  thank(): void {
    this.#socket.write("K");
  }

  async #files(size: number, folder: string): Promise<InputEntry[] | null> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const source = new PassThrough();
    const reading = readTree(source, folder);
    reading.catch(() => {});
    for (let left = size; left > 0;) {
      const part = await this.#reader.some(Math.min(left, 1024 * 1024));
      if (part === null) {
        source.destroy(new Error("the guest went away"));
        return null;
      }
      left -= part.length;
      if (!source.write(part)) await Promise.race([new Promise<void>((resolve) => source.once("drain", resolve)), reading]);
    }
    source.end();
    return reading;
  }

  close(): void {
    this.#socket.destroy();
  }
}

const plainName = (name: string): string | null => {
  const parts = name.replace(/\/+$/, "").split("/");
  return parts.every((part) => part !== "" && part !== "." && part !== ".." && !part.includes("\0")) ? parts.join("/") : null;
};

/** A stranger's archive as entries, files kept by digest; what cannot travel (devices, odd names) is left out. */
export async function readTree(source: Readable, folder: string): Promise<InputEntry[]> {
  const entries = new Map<string, InputEntry>();
  const reader = extract();
  let number = 0;
  reader.on("entry", (header, stream, next) => {
    stream.on("error", () => {}); // the reader's own error says it
    const name = plainName(header.name);
    const skip = (): void => void stream.on("end", next).resume();
    if (name === null || name.length > 4096 || entries.size >= TREE_ENTRIES_MAX) return skip();
    if (header.type === "directory") entries.set(name, { path: name, kind: "directory" });
    else if (header.type === "symlink" && header.linkname) entries.set(name, { path: name, kind: "link", target: header.linkname.slice(0, 4096) });
    else if (header.type === "link" && header.linkname) {
      const first = entries.get(plainName(header.linkname) ?? "");
      if (first?.kind === "file") entries.set(name, { ...first, path: name });
    } else if (header.type === "file") {
      const part = path.join(folder, `part-${++number}`);
      return void keep(stream, part, folder).then(({ digest, size }) => {
        entries.set(name, { path: name, kind: "file", digest, size });
        next();
      }, next);
    }
    return skip();
  });
  await pipeline(source, reader);
  return [...entries.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

async function keep(stream: Readable, part: string, folder: string): Promise<{ digest: string; size: number }> {
  const hash = createHash("sha256");
  let size = 0;
  const hashed = new Transform({
    transform(chunk: Buffer, _, done) {
      hash.update(chunk);
      size += chunk.length;
      done(null, chunk);
    },
  });
  await pipeline(stream, hashed, createWriteStream(part, { mode: 0o600 }));
  const digest = hash.digest("hex");
  await rename(part, path.join(folder, digest));
  return { digest, size };
}
