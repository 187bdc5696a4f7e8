/**
 * QEMU's control protocol (QMP, docs/interop/qmp-spec) and the guest agent's (qemu-ga, the same lines without greeting), each on a socket
 * in the lease's folder. Who controls the inputs: QEMU, which is taken to be the guest's: answers are data, never commands.
 */
import { lstat, open } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import path from "node:path";
import { isRecord } from "../../json.ts";

const LINE_BYTES_MAX = 24 * 1024 * 1024;

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

export class QmpError extends Error {
  override name = "QmpError";
}

/** One request at a time, answered in order. */
export class JsonLines {
  readonly #socket: Socket;
  #buffer: Buffer[] = [];
  #size = 0;
  readonly #waiting: { resolve(value: unknown): void; reject(error: Error): void }[] = [];
  onEvent: (event: QmpEvent) => void = () => {};
  readonly closed: Promise<void>;
  #over = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (bytes: Buffer) => this.#receive(bytes));
    this.closed = new Promise((resolve) =>
      socket.once("close", () => {
        this.#over = true;
        for (const { reject } of this.#waiting.splice(0)) reject(new QmpError("the machine's control socket closed"));
        resolve();
      }),
    );
  }

  #receive(bytes: Buffer): void {
    for (let rest = bytes; rest.length > 0;) {
      const end = rest.indexOf(10);
      const part = end < 0 ? rest : rest.subarray(0, end);
      this.#buffer.push(part);
      this.#size += part.length;
      if (this.#size > LINE_BYTES_MAX) return void this.#socket.destroy();
      if (end < 0) return;
      rest = rest.subarray(end + 1);
      const line = Buffer.concat(this.#buffer).toString("utf8").replaceAll("\u00FF", "").replaceAll("\uFFFD", "").trim();
      this.#buffer = [];
      this.#size = 0;
      if (line !== "") this.#line(line);
    }
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
    if ("return" in value) this.#waiting.shift()?.resolve(value["return"]);
    else if ("error" in value) {
      const said = isRecord(error) && typeof error["desc"] === "string" ? error["desc"] : "refused";
      this.#waiting.shift()?.reject(new QmpError(said.slice(0, 300)));
    }
  }

  /** Rejects with QmpError: what the other side says, or that it is gone. */
  execute(command: string, args: Record<string, unknown> = {}, timeoutMs = 30_000): Promise<unknown> {
    if (this.#over) return Promise.reject(new QmpError("the machine's control socket is closed"));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new QmpError(`no answer to ${command} within ${timeoutMs} ms`));
        this.#socket.destroy(); // a late answer would be taken for the next one's
      }, timeoutMs);
      const done = (): void => clearTimeout(timer);
      this.#waiting.push({ resolve: (value) => (done(), resolve(value)), reject: (error) => (done(), reject(error)) });
      this.#socket.write(`${JSON.stringify({ execute: command, arguments: args })}\n`);
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}

const CONNECT_EVERY_MS = 10;

/** Connects as soon as QEMU listens. Throws when it does not within the time or `gone` says so. */
export async function openQmp(file: string, timeoutMs: number, gone: () => Promise<boolean>): Promise<JsonLines> {
  for (const deadline = Date.now() + timeoutMs; ;) {
    const socket = await connectSocket(file).catch(() => null);
    if (socket) {
      const lines = new JsonLines(socket);
      await lines.execute("qmp_capabilities");
      return lines;
    }
    if (Date.now() > deadline) throw new QmpError("QEMU does not open its control socket");
    if (await gone()) throw new QmpError("QEMU ended before it opened its control socket");
    await new Promise((resolve) => setTimeout(resolve, CONNECT_EVERY_MS));
  }
}
