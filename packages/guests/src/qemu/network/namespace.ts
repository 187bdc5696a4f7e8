/** Sockets inside a machine's network namespace, for the daemon outside of it. */
import { spawn, type ChildProcess } from "node:child_process";
import { Socket as Datagrams } from "node:dgram";
import { Server, Socket } from "node:net";
import { ownProgram } from "../../own-program.ts";
import { innermostOf } from "../machine/box.ts";
import type { HelperReply, HelperRequest } from "./namespace-helper.ts";

const TIMEOUT_MS = 10_000;

type Wanted = HelperRequest extends infer R ? (R extends HelperRequest ? Omit<R, "id"> : never) : never;

/** One that was closed while it was handed over does not arrive. */
const notHanded = (): Error => new Error("the machine's network did not hand over the socket");

export class NetNamespace {
  readonly #pid: number;
  #helper: Promise<ChildProcess> | null = null;
  #last = 0;
  readonly #waiting = new Map<number, { resolve(handle: unknown): void; reject(error: Error): void }>();

  /** `pid`: the first process of the box, as the host sees it. */
  constructor(pid: number) {
    this.#pid = pid;
  }

  async #start(): Promise<ChildProcess> {
    const inside = await innermostOf(this.#pid);
    const user = process.getuid?.() === 0 ? [] : ["--user", "--preserve-credentials"];
    const file = ownProgram(import.meta.dirname, "namespace-helper");
    const child = spawn("nsenter", ["--target", String(inside), "--net", ...user, process.execPath, "--no-warnings", file], {
      stdio: ["ignore", "ignore", "ignore", "ipc"],
      env: {},
      cwd: "/",
    });
    child.on("message", (message: HelperReply, handle: unknown) => {
      const waiting = this.#waiting.get(message.id);
      this.#waiting.delete(message.id);
      if (message.error === null) waiting?.resolve(handle);
      else waiting?.reject(new Error(message.error));
    });
    child.on("error", () => {});
    child.once("exit", () => {
      this.#helper = null;
      for (const { reject } of this.#waiting.values()) reject(new Error("the machine's network is gone"));
      this.#waiting.clear();
    });
    return child;
  }

  async #ask(request: Wanted): Promise<unknown> {
    const helper = await (this.#helper ??= this.#start());
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("the machine's network does not answer")), TIMEOUT_MS);
      const done = (): void => clearTimeout(timer);
      this.#waiting.set(id, { resolve: (handle) => (done(), resolve(handle)), reject: (error) => (done(), reject(error)) });
      helper.send({ ...request, id });
    });
  }

  /** Accepts connections to that port of any address. */
  async listen(port: number): Promise<Server> {
    const handle = await this.#ask({ kind: "listen", port });
    if (!(handle instanceof Server)) throw notHanded();
    return Object.assign(handle, { allowHalfOpen: true }); // a guest that has said all hears what it is answered
  }

  async datagrams(port: number): Promise<Datagrams> {
    const handle = await this.#ask({ kind: "datagrams", port });
    if (!(handle instanceof Datagrams)) throw notHanded();
    return handle;
  }

  /** To a port of the namespace's own loopback, or of an address there. */
  async connect(port: number, host = "127.0.0.1"): Promise<Socket> {
    const handle = await this.#ask({ kind: "connect", host, port });
    if (!(handle instanceof Socket)) throw notHanded();
    handle.allowHalfOpen = true; // what a guest still says to whoever has said all is heard
    return handle.setNoDelay(true);
  }

  /** Sockets that were handed out live on. */
  async close(): Promise<void> {
    (await this.#helper?.catch(() => null))?.disconnect();
  }
}
