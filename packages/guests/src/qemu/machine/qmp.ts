/**
 * QEMU's control protocol (QMP, docs/interop/qmp-spec) and the guest agent's (qemu-ga, the same lines without greeting), each on a socket
 * in the lease's folder. Who controls the inputs: QEMU, which is taken to be the guest's: answers are data, never commands.
 */
import { lstat, open } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import path from "node:path";
import type { Duplex } from "node:stream";
import { isRecord } from "../../json.ts";

/** Of QEMU's own lines: those that are asked for here take a few KiB. */
export const QMP_LINE_BYTES_MAX = 256 * 1024;

export interface QmpEvent {
  event: string;
  data: Record<string, unknown>;
}

/** A path longer than a socket address may be is reached through its folder's descriptor. */
export async function connectSocket(file: string): Promise<Socket> {
  const stat = await lstat(file);
  if (!stat.isSocket()) throw new Error(`${path.basename(file)} is no socket`); // QEMU could put a link to another program's there
  const folder = await open(path.dirname(file), "r");
  try {
    const socket = connect(`/proc/self/fd/${folder.fd}/${path.basename(file)}`);
    await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    socket.on("error", () => {}); // its close says enough
    return socket;
  } finally {
    await folder.close();
  }
}

/** No byte of any request: a reader that waits for the rest of one gives that up. */
const SENTINEL = Buffer.from([0xff]);

export class QmpError extends Error {
  override name = "QmpError";
}

/** One request at a time, answered in order. Nothing of a line that is longer than `lineBytesMax` is parsed: with it the socket ends. */
export class JsonLines {
  readonly #socket: Duplex;
  readonly #lineBytesMax: number;
  #buffer: Buffer[] = [];
  #size = 0;
  readonly #waiting: { resolve(value: unknown): void; reject(error: Error): void }[] = [];
  /** Until this is answered nothing that comes is an answer to anything else. */
  #mark: { id: number; heard(): void } | null = null;
  onEvent: (event: QmpEvent) => void = () => {};
  readonly closed: Promise<void>;
  #over = false;

  constructor(socket: Duplex, lineBytesMax: number) {
    this.#socket = socket;
    this.#lineBytesMax = lineBytesMax;
    socket.on("data", (bytes: Buffer) => this.#receive(bytes));
    this.closed = new Promise((resolve) =>
      socket.once("close", () => {
        this.#fail("the machine's control socket closed");
        resolve();
      }),
    );
  }

  /** Nothing can be asked any more. */
  get isOver(): boolean {
    return this.#over;
  }

  #fail(why: string): void {
    this.#over = true;
    for (const { reject } of this.#waiting.splice(0)) reject(new QmpError(why));
  }

  #receive(bytes: Buffer): void {
    for (let rest = bytes; rest.length > 0 && !this.#over;) {
      const end = rest.indexOf(10);
      const part = end < 0 ? rest : rest.subarray(0, end);
      this.#buffer.push(part);
      this.#size += part.length;
      if (this.#size > this.#lineBytesMax) return this.#tooLong();
      if (end < 0) return;
      rest = rest.subarray(end + 1);
      const line = Buffer.concat(this.#buffer).toString("utf8").replaceAll("\u00FF", "").replaceAll("\uFFFD", "").trim();
      this.#buffer = [];
      this.#size = 0;
      if (line !== "") this.#line(line);
    }
  }

  #tooLong(): void {
    this.#buffer = [];
    this.#fail(`the answer is longer than ${this.#lineBytesMax} bytes: ask for less at a time`);
    this.#socket.destroy();
  }

  #line(line: string): void {
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      return;
    }
    if (!isRecord(value)) return;
    const { event, data, error } = value;
    if (typeof event === "string") return this.onEvent({ event, data: isRecord(data) ? data : {} });
    if (this.#mark) {
      if (value["return"] === this.#mark.id) this.#mark.heard();
    } else if ("return" in value) this.#waiting.shift()?.resolve(value["return"]);
    else if ("error" in value) {
      const said = isRecord(error) && typeof error["desc"] === "string" ? error["desc"] : "refused";
      this.#waiting.shift()?.reject(new QmpError(said.slice(0, 300)));
    }
  }

  /**
   * Rejects with QmpError: what the other side says, or that it is gone. `timeoutMs`: at null its answer is waited for as long as it is
   * there.
   */
  execute(command: string, args: Record<string, unknown> = {}, timeoutMs: number | null = 30_000): Promise<unknown> {
    if (this.#over) return Promise.reject(new QmpError("the machine's control socket is closed"));
    return new Promise((resolve, reject) => {
      const late = (): void => {
        reject(new QmpError(`no answer to ${command} within ${timeoutMs} ms`));
        this.close(); // a late answer would be taken for the next one's
      };
      const timer = timeoutMs === null ? undefined : setTimeout(late, timeoutMs);
      const done = (): void => clearTimeout(timer);
      this.#waiting.push({ resolve: (value) => (done(), resolve(value)), reject: (error) => (done(), reject(error)) });
      this.#socket.write(`${JSON.stringify({ execute: command, arguments: args })}\n`);
    });
  }

  /**
   * Whether a guest's agent answers in time, however often it is asked. What another left half-said is over with the first byte, which no
   * request has (qemu-ga-ref, guest-sync-delimited); what is answered before, refusals of what was cut among them, is nobody's.
   */
  async sync(id: number, timeoutMs: number): Promise<boolean> {
    if (this.#over) return false;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const timer = setTimeout(resolve, timeoutMs, false);
    this.#mark = { id, heard: () => resolve(true) };
    void this.closed.then(() => resolve(false));
    this.#socket.write(Buffer.concat([SENTINEL, Buffer.from(`${JSON.stringify({ execute: "guest-sync", arguments: { id } })}\n`)]));
    const isThere = await promise;
    clearTimeout(timer);
    this.#mark = null;
    return isThere && !this.#over;
  }

  close(): void {
    this.#over = true;
    this.#socket.destroy();
  }
}

const CONNECT_EVERY_MS = 10;

/** Connects as soon as QEMU listens. Throws when it does not within the time or `gone` says so. */
export async function openQmp(file: string, timeoutMs: number, gone: () => Promise<boolean>): Promise<JsonLines> {
  for (const deadline = Date.now() + timeoutMs; ;) {
    const socket = await connectSocket(file).catch(() => null);
    if (socket) {
      const lines = new JsonLines(socket, QMP_LINE_BYTES_MAX);
      await lines.execute("qmp_capabilities");
      return lines;
    }
    if (Date.now() > deadline) throw new QmpError("QEMU does not open its control socket");
    if (await gone()) throw new QmpError("QEMU ended before it opened its control socket");
    await new Promise((resolve) => setTimeout(resolve, CONNECT_EVERY_MS));
  }
}
