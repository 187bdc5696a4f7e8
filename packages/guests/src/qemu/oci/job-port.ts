/**
 * The host's end of the port `xeno.job` of an OCI guest (init/init.pl): waits until it is ready, gives it its job, lets it begin, takes
 * what it hands back. Can be opened again after the daemon was killed. Who controls the inputs: the host's own init until the job begins,
 * the guest from then on, every byte.
 */
import { randomBytes } from "node:crypto";
import { mkdir, open } from "node:fs/promises";
import type { Socket } from "node:net";
import path from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { TerminalWindow, VmProcess } from "@xenoservers/protocol";
import type { InputEntry } from "@xenoservers/protocol/channel";
import { connectSocket } from "../machine/qmp.ts";
import { monotonicMs, type SaidAgo } from "../machine/unheard.ts";
import { Refusal, type Fault } from "../refusal.ts";
import { PortReader } from "./port-reader.ts";
import { TooMuch, readTree } from "./returned-tree.ts";

interface OciJob {
  args: readonly string[];
  env: readonly string[];
  workdir: string;
  volumes?: readonly string[];
  user: string;
  hostname: string;
  process: VmProcess;
  /** Where inputs are put, and what of it is handed back. */
  mounts: readonly { path: string; keep: boolean }[];
}

/** Known before the job is sent, so that a later daemon finds the guest's answer again. */
export const newToken = (): string => randomBytes(16).toString("hex");

function settings(job: OciJob, token: string): Buffer {
  const pairs: [string, string][] = [
    ["token", token],
    ["entropy", randomBytes(64).toString("hex")],
    ["machine", randomBytes(16).toString("hex")],
    ["time", (Date.now() / 1_000).toFixed(3)],
    ["hostname", job.hostname],
    ["workdir", job.workdir],
    ["user", job.user],
    ["stdin", job.process.stdin ? "1" : ""],
    ["terminal", job.process.terminal ? `${job.process.terminal.rows}x${job.process.terminal.columns}` : ""],
    ...(job.volumes ?? []).map((at): [string, string] => ["volume", at]),
    ...job.mounts.map(({ path: at }): [string, string] => ["mount", at]),
    ...job.mounts.filter(({ keep }) => keep).map(({ path: at }): [string, string] => ["keep", at]),
    ...job.args.map((arg): [string, string] => ["arg", arg]),
    ...job.env.map((each): [string, string] => ["env", each]),
  ];
  return Buffer.from(pairs.map(([key, value]) => `${key}=${value}`).join("\0"));
}

/** What an init is told while its job runs: its shell is wanted; its program's terminal has another size. */
export const WAKE_SHELL = Buffer.from("Y");
export function resizeWords({ rows, columns }: TerminalWindow): Buffer {
  const said = Buffer.from("W0000");
  said.writeUInt16BE(rows, 1);
  said.writeUInt16BE(columns, 3);
  return said;
}

/** What the init is given before the archive of its inputs. */
export function givenHead(job: OciJob, token: string, tarBytes: number): Buffer {
  const head = settings(job, token);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(head.length);
  const size = Buffer.alloc(8);
  size.writeBigUInt64BE(BigInt(tarBytes));
  return Buffer.concat([length, head, size]);
}

const PIECE_BYTES_MAX = 1024 * 1024;
/** Each is written by itself: the init's are as large as what a pipe gives, but for the last. */
const PIECE_BYTES_LEAST = 512;
const PIECES_FREE = 1_024;
/** Of letters while its job runs. */
const UNREAD_BYTES_MAX = 4_096;

/** How the job ended, and what it hands back. */
export interface OciEnd {
  exitCode: number;
  tree: InputEntry[];
  /** In words, where not everything came back; empty where it did. */
  detail: string;
}

const LESS = "not everything could be handed back";
/** By what the guest says of its files: nothing where they are whole. */
const CAME: Readonly<Record<number, string>> = { 1: "", 2: "nothing comes back: /out in this image is no folder" };

/** Whether the job may begin; `refused` says why it cannot, and whose doing that is. */
type OciAnswer = { kind: "set" } | { kind: "refused"; fault: Fault; words: string };

interface Answered {
  token: string;
  folder: string;
  bytesMax: number;
  /** Told with the first word of the end, where the guest says it: an init of an earlier version does not. */
  ago?(said: SaidAgo): void;
}

/**
 * How the job ended; its files go into `folder` by digest. Null when the guest went away before. Throws TooMuch where it hands back
 * more than may be. What makes no sense is skipped like anything else that a guest says before its answer.
 */
export async function readAnswer(reader: PortReader, { token, folder, bytesMax, ago }: Answered): Promise<OciEnd | null> {
  const answer = new RegExp(`^${token} (\\d{1,3})$`);
  const ended = new RegExp(`^${token} ended (\\d{1,15})$`);
  let agoMs: string | undefined;
  const line = await reader.line((each) => {
    agoMs = ended.exec(each)?.[1] ?? agoMs;
    return answer.test(each) ? each : null;
  });
  if (line === null) return null;
  if (agoMs !== undefined) ago?.({ agoMs: Number(agoMs), heardMs: monotonicMs() });
  const exitCode = Number(answer.exec(line)?.[1]);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const archive = path.join(folder, "archive");
  const said = await saved(reader, archive, bytesMax);
  if (said === null) return null;
  const tree = await readTree(archive, folder).catch((error: unknown) => {
    if (error instanceof Refusal) return null; // the guest's own init writes another: the job has taken its place
    throw error;
  });
  return { exitCode: exitCode & 255, tree: tree ?? [], detail: tree ? (CAME[said] ?? LESS) : LESS };
}

/** What the guest says of it, as CAME has it; null when it went away. */
async function saved(reader: PortReader, archive: string, bytesMax: number): Promise<number | null> {
  const out = await open(archive, "w", 0o600);
  try {
    for (let sum = 0, pieces = 0; ; pieces++) {
      const length = (await reader.all(4))?.readUInt32BE(0);
      if (length === undefined) return null;
      if (length === 0) return (await reader.all(1))?.readUInt8(0) ?? null;
      if (pieces * PIECE_BYTES_LEAST > sum + PIECES_FREE * PIECE_BYTES_LEAST)
        throw new TooMuch("the job hands back its files in more pieces than are read here");
      if (length > PIECE_BYTES_MAX || (sum += length) > bytesMax) throw new TooMuch("the job hands back more than its disk holds");
      for (let left = length; left > 0;) {
        const part = await reader.some(left);
        if (part === null) return null;
        await out.writeFile(part);
        left -= part.length;
      }
    }
  } finally {
    await out.close();
  }
}

export class JobPort {
  readonly #socket: Socket;
  readonly #reader: PortReader;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#reader = new PortReader(socket);
  }

  static async open(file: string): Promise<JobPort> {
    return new JobPort(await connectSocket(file));
  }

  /** That the guest came so far; null when it went away. */
  ready(): Promise<string | null> {
    return this.#reader.line((line) => (line.endsWith("ready") ? line : null));
  }

  async give(job: OciJob, token: string, tar: Readable, tarBytes: number): Promise<void> {
    this.#socket.write(givenHead(job, token, tarBytes));
    await pipeline(tar, this.#socket, { end: false }).catch((error: unknown) => {
      if (tar.errored) throw error; // else the guest went away: its end says why
    });
  }

  /** What the init says to what it was given, before anything of the image has run; null when the guest went away. */
  async answer(): Promise<OciAnswer | null> {
    const line = await this.#reader.line((each) => (each === "set" || each.startsWith("refused ") ? each : null));
    if (line === null) return null;
    if (line === "set") return { kind: "set" };
    const [, kind, ...words] = line.split(" ");
    return { kind: "refused", fault: kind === "limits" ? "limits" : "job", words: words.join(" ") };
  }

  /** The job begins. */
  go(): void {
    this.#socket.write("G");
  }

  /** To a guest that goes on from a snapshot: random numbers and the time, before it does anything else. */
  renew(): void {
    const time = Buffer.alloc(8);
    time.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 1_000)));
    this.#socket.write(Buffer.concat([Buffer.from("S"), randomBytes(64), time]));
    this.setClock();
  }

  /** The time of day, to the millisecond: in digits, of which an init of an earlier version takes none for a letter. */
  setClock(): void {
    this.#say(Buffer.from(`C${Date.now()}\n`));
  }

  /** To the job's first program. */
  signal(number: number): void {
    this.#say(Buffer.from([0x54, number]));
  }

  resize(window: TerminalWindow): void {
    this.#say(resizeWords(window));
  }

  /** The guest agent is to run from now on, where it does not. */
  wakeAgent(): void {
    this.#say(Buffer.from("X"));
  }

  /** Our own shell is to run from now on, where it does not. */
  wakeShell(): void {
    this.#say(WAKE_SHELL);
  }

  /** A guest that reads nothing of it gets no more of it, however often its customer asks. */
  #say(bytes: Buffer): void {
    if (this.#socket.writableLength < UNREAD_BYTES_MAX) this.#socket.write(bytes);
  }

  /** Asks for the answer again: after the daemon was restarted. */
  ask(): void {
    this.#socket.write("A");
  }

  /** How the job ended: as `readAnswer`. */
  end(answered: Answered): Promise<OciEnd | null> {
    return readAnswer(this.#reader, answered);
  }

  /** The host has it all. */
  thank(): void {
    this.#socket.write("K");
  }

  close(): void {
    this.#socket.destroy();
  }
}
