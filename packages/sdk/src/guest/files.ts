/**
 * Files of a running guest, by requests to its own shell: answers come in the order of the requests, so many may be under way. Who controls
 * the inputs: the guest, every byte of an answer.
 */
import { concatBytes } from "@xenoservers/protocol";
import { bytesOfName, nameOf } from "../byte-names.ts";
import type { MachineLink } from "../session/machine-link.ts";
import { ProgramWire } from "./program-wire.ts";

type GuestKind = "file" | "folder" | "link" | "other";

/** What lies at a path; a link is not followed. */
export interface GuestEntry {
  /** Below what was listed; empty where one was looked at. What of it is no UTF-8 stands as lone surrogates (byte-names.ts). */
  path: string;
  kind: GuestKind;
  mode: number;
  uid: number;
  gid: number;
  size: number;
  /** Seconds since 1970. */
  mtime: number;
  target: string;
  /** Whether its path and its target are text: a guest's names are bytes. */
  isText: boolean;
  /** The same for all names of one file, as the guest says; empty where it has one, or was looked at. */
  which: string;
}

/** Null: as whoever makes it in the guest. */
export type Owner = { uid: number; gid: number } | null;

export class GuestFileError extends Error {
  override name = "GuestFileError";
}

/** What the guest says of one request: others go on. */
export class GuestRefusal extends GuestFileError {
  override name = "GuestRefusal";
}

const KINDS: readonly string[] = ["file", "folder", "link", "other"];
const ANSWER_BYTES_MAX = 64 * 1024;
const PIECE_BYTES_MAX = 64 * 1024;
const MODE_MAX = 0o7777;
const SIZE_MAX = BigInt(Number.MAX_SAFE_INTEGER);
const LENGTH_BYTES = 4;
const RUN_HEAD_BYTES = 12;
/** So much of requests goes in one message: many are less than what one costs. */
const GATHERED_BYTES = 48 * 1024;
/** Of answers that nobody has read yet. */
const WAITING_BYTES_MAX = 64 * 1024;

const viewOf = ({ buffer, byteOffset, byteLength }: Uint8Array): DataView => new DataView(buffer, byteOffset, byteLength);

/** After what is ready now; a page has no `setImmediate`. */
const soon = (work: () => void): void => void ("setImmediate" in globalThis ? setImmediate(work) : setTimeout(work, 0));

const nonsense = (): GuestFileError => new GuestFileError("what the guest's shell answers makes no sense");

function numberIn(text: string | undefined): number {
  const value = Number(text);
  if (text === undefined || !/^-?\d{1,15}$/.test(text)) throw nonsense();
  return value;
}

function entryIn([, kind = "", mode, uid, gid, size, mtime, target = "", path = "", which = ""]: string[]): GuestEntry {
  if (!KINDS.includes(kind)) throw nonsense();
  return {
    ...{ path, kind: kind as GuestKind, mode: numberIn(mode) & MODE_MAX, uid: numberIn(uid), gid: numberIn(gid) },
    ...{ size: Math.max(0, numberIn(size)), mtime: numberIn(mtime), target },
    ...{ isText: path.isWellFormed() && target.isWellFormed(), which },
  };
}

interface PutWanted {
  path: string;
  /** Where the bytes are until all of them have come. */
  part: string;
  /** How many are there already. */
  offset: number;
  size: number;
  mode: number;
  owner: Owner;
  mtime: number;
}

/** Bytes and where in their file they are; between them are holes. */
export interface Run {
  at: number;
  bytes: Uint8Array;
}

export interface FileSink {
  /** `at`: where in the file they are. */
  take(bytes: Uint8Array, at: number): Promise<void>;
  /** All of it has come. */
  whole(): Promise<void>;
  /** No more of it comes. */
  end(): Promise<void>;
}

function runHead(at: number, length: number): Uint8Array {
  const head = new Uint8Array(RUN_HEAD_BYTES);
  viewOf(head).setBigUint64(0, BigInt(at));
  viewOf(head).setUint32(8, length);
  return head;
}

/** The last of them says the size. */
async function* framedRuns(runs: AsyncIterable<Run>, size: number): AsyncGenerator<Uint8Array> {
  for await (const { at, bytes } of runs) yield concatBytes(runHead(at, bytes.length), bytes);
  yield runHead(size, 0);
}

/** What is between bytes that it takes is a hole. */
export interface SparseSink extends FileSink {
  /** All after the last bytes is a hole, up to this size. */
  fill(size: number): Promise<void>;
}

const ownerWords = (owner: Owner): string[] => (owner === null ? ["-", "-"] : [String(owner.uid), String(owner.gid)]);

export class GuestFiles {
  #program!: ProgramWire;
  #parts: Uint8Array[] = [];
  #size = 0;
  #news: () => void = () => {};
  /** Lets more come. */
  #room: (() => void) | null = null;
  #turn: Promise<unknown> = Promise.resolve();
  #sending: Promise<unknown> = Promise.resolve();
  /** Of requests, and not handed over yet. */
  #gathered: Uint8Array[] = [];
  #gatheredBytes = 0;
  #isSoonSent = false;
  /** What was handed over last, until the guest has room for it: one after the other, and no more is gathered meanwhile. */
  #handedOver: Promise<void> = Promise.resolve();

  private constructor() {}

  static async open(link: Pick<MachineLink, "shell">, signal?: AbortSignal): Promise<GuestFiles> {
    const files = new GuestFiles();
    files.#program = await ProgramWire.start(
      link,
      { args: [], files: true },
      { stdout: (bytes) => files.#take(bytes), stderr: () => {}, over: () => files.#isOver() },
      signal,
    );
    return files;
  }

  /** Ends what is under way. */
  close(): void {
    this.#program.kill();
  }

  #take(bytes: Uint8Array): void | Promise<void> {
    this.#parts.push(bytes);
    this.#size += bytes.length;
    this.#news();
    if (this.#size > WAITING_BYTES_MAX) return new Promise((resolve) => (this.#room = resolve));
  }

  #isOver(): void {
    this.#news();
    this.#goOn();
  }

  #goOn(): void {
    const room = this.#room;
    this.#room = null;
    room?.();
  }

  async #need(bytes: number): Promise<Uint8Array> {
    while (this.#size < bytes) {
      this.#goOn();
      if (this.#program.isOver) await this.#gone();
      await new Promise<void>((resolve) => (this.#news = resolve));
    }
    const all = this.#parts.length === 1 ? this.#parts[0]! : concatBytes(...this.#parts);
    this.#parts = all.length === bytes ? [] : [all.subarray(bytes)];
    this.#size -= bytes;
    if (this.#size <= WAITING_BYTES_MAX) this.#goOn();
    return all.subarray(0, bytes);
  }

  async #gone(): Promise<never> {
    const { why } = await this.#program.ended;
    throw new GuestFileError(why ?? "the guest's shell ended");
  }

  async #length(): Promise<number> {
    return viewOf(await this.#need(LENGTH_BYTES)).getUint32(0);
  }

  async #bytes(): Promise<Uint8Array> {
    const length = await this.#length();
    if (length > ANSWER_BYTES_MAX) throw nonsense();
    return this.#need(length);
  }

  async #answer(): Promise<string[]> {
    return nameOf(await this.#bytes()).split("\0");
  }

  /** What is said beside `ok`. */
  async #done(): Promise<string> {
    const [word, more] = await this.#answer();
    if (word !== "ok") throw new GuestRefusal(more ?? "the guest refused");
    return more ?? "";
  }

  async #ok(): Promise<void> {
    await this.#done();
  }

  /** Resolves when more may be said. */
  async #say(bytes: Uint8Array): Promise<void> {
    await this.#handedOver;
    this.#gathered.push(bytes);
    this.#gatheredBytes += bytes.length;
    if (this.#gatheredBytes >= GATHERED_BYTES) return this.#handOver();
    if (!this.#isSoonSent) soon(() => void this.#handOver().catch(() => this.close()));
    this.#isSoonSent = true;
  }

  async #handOver(): Promise<void> {
    const parts = this.#gathered;
    this.#gathered = [];
    this.#gatheredBytes = 0;
    this.#isSoonSent = false;
    if (parts.length === 0) return;
    this.#handedOver = this.#program.write(concatBytes(...parts));
    await this.#handedOver;
    // where nothing is taken any more the program's own end says why
    if (this.#program.isOver) await this.#gone();
  }

  /** One request after another; each reads its own answer when those before it have read theirs. */
  #ask<T>(words: readonly (string | number)[], read: () => Promise<T>, body?: AsyncIterable<Uint8Array>): Promise<T> {
    if (words.some((word) => String(word).includes("\0"))) return Promise.reject(new GuestFileError("a path holds no zero byte"));
    const text = bytesOfName(words.join("\0"));
    const length = new Uint8Array(LENGTH_BYTES);
    viewOf(length).setUint32(0, text.length);
    const sent = this.#sending.then(async () => {
      await this.#say(concatBytes(length, text));
      for await (const part of body ?? []) await this.#say(part);
    });
    this.#sending = sent;
    sent.catch(() => this.close()); // what was announced and did not come cannot be taken back
    const answer = this.#turn.then(read);
    this.#turn = answer.catch(() => {});
    return Promise.all([answer, sent]).then(([value]) => value);
  }

  /** Null where nothing is there. `how`: `behind` is of what a link leads to, where the shell can do that. */
  look(path: string, how: "look" | "behind" = "look"): Promise<GuestEntry | null> {
    return this.#ask([how, path], async () => {
      const answer = await this.#answer();
      if (answer[0] === "none") return null;
      if (answer[0] !== "there") throw new GuestFileError(answer[1] ?? "the guest refused");
      return entryIn(answer);
    });
  }

  /** The folder at a path or behind a link there; null where there is none. Nothing that joins paths may see the dot: it leaves it out. */
  lookBehind(path: string): Promise<GuestEntry | null> {
    return this.look(`${path}/.`);
  }

  /**
   * All that lies below a folder, parents first. Whoever calls bounds how many it takes, and may be told of what cannot be looked at or
   * into, which ends it otherwise.
   */
  list(path: string, each: (entry: GuestEntry) => void, lost?: (path: string, why: string) => void): Promise<void> {
    const refuse = (below: string, why: string): never => {
      throw new GuestRefusal(`${path}/${below}: ${why}`);
    };
    return this.#list("list", path, each, lost ?? refuse);
  }

  /** The same of what lies in a folder itself, where its shell can do that. */
  entries(path: string, each: (entry: GuestEntry) => void, lost: (path: string, why: string) => void): Promise<void> {
    return this.#list("entries", path, each, lost);
  }

  #list(
    request: "list" | "entries",
    path: string,
    each: (entry: GuestEntry) => void,
    lost: (path: string, why: string) => void,
  ): Promise<void> {
    return this.#ask([request, path], async () => {
      for (;;) {
        const answer = await this.#answer();
        if (answer[0] === "ok") return;
        if (answer[0] === "there") each(entryIn(answer));
        else if (answer[0] === "lost") lost(answer[1] ?? "", answer[2] ?? "");
        else throw new GuestRefusal(answer[1] ?? "the guest refused");
      }
    });
  }

  /** Bytes of a part that are there. */
  partSize(part: string): Promise<number> {
    return this.#ask(["part", part], async () => numberIn((await this.#answer())[1]));
  }

  /** Whether its shell has that request: it comes with the server, or came with an earlier one. */
  can(request: "behind" | "fill" | "runs" | "entries"): Promise<boolean> {
    return this.#ask(["can", request], async () => (await this.#answer())[0] === "ok");
  }

  /** The bytes from `offset` on; the file has its name when all have come. */
  put(wanted: PutWanted, bytes: AsyncIterable<Uint8Array>): Promise<void> {
    return this.#put("put", wanted.size - wanted.offset, wanted, bytes);
  }

  /** The same of a file with holes: what is in none of the runs is one. */
  fill(wanted: PutWanted, runs: AsyncIterable<Run>): Promise<void> {
    return this.#put("fill", wanted.size, wanted, framedRuns(runs, wanted.size));
  }

  #put(
    request: "put" | "fill",
    count: number,
    { path, part, offset, mode, owner, mtime }: PutWanted,
    bytes: AsyncIterable<Uint8Array>,
  ): Promise<void> {
    return this.#ask([request, path, part, offset, count, mode, ...ownerWords(owner), mtime], () => this.#ok(), bytes);
  }

  /** Hands over the bytes from `offset` on, as they come; no two sinks are written at once. */
  get(path: string, offset: number, sink: FileSink): Promise<void> {
    let at = offset;
    return this.#get(["get", path, offset], sink, async () => {
      const length = await this.#length();
      const run = { at, length };
      at += length;
      return run;
    });
  }

  /** The same, without what is a hole. */
  runs(path: string, offset: number, sink: SparseSink): Promise<void> {
    const head = async (): Promise<{ at: number; length: number }> => {
      const bytes = viewOf(await this.#need(RUN_HEAD_BYTES));
      const at = bytes.getBigUint64(0);
      if (at > SIZE_MAX) throw nonsense();
      return { at: Number(at), length: bytes.getUint32(8) };
    };
    return this.#get(["runs", path, offset], sink, head, (size) => sink.fill(size));
  }

  #get(
    words: readonly (string | number)[],
    sink: FileSink,
    head: () => Promise<{ at: number; length: number }>,
    ended: (at: number) => Promise<void> = async () => {},
  ): Promise<void> {
    return this.#ask(words, async () => {
      try {
        for (;;) {
          const { at, length } = await head();
          if (length > PIECE_BYTES_MAX) throw nonsense();
          if (length > 0) await sink.take(await this.#need(length), at);
          else {
            await this.#done();
            await ended(at);
            break;
          }
        }
        await sink.whole();
      } finally {
        await sink.end();
      }
    });
  }

  /** Whether it was made: one that was there stays as it is. */
  folder(path: string, mode: number, owner: Owner): Promise<boolean> {
    return this.#ask(["folder", path, mode, ...ownerWords(owner)], async () => (await this.#done()) !== "there");
  }

  link(path: string, target: string, owner: Owner): Promise<void> {
    return this.#ask(["link", path, target, ...ownerWords(owner)], () => this.#ok());
  }

  /** A file that is there has this name, too. */
  name(path: string, file: string): Promise<void> {
    return this.#ask(["name", path, file], () => this.#ok());
  }

  /** Of a folder, when all that it holds has come. */
  times(path: string, mode: number, mtime: number): Promise<void> {
    return this.#ask(["times", path, mode, mtime], () => this.#ok());
  }
}
