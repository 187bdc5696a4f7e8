/**
 * A way to the broker that a test can cut, hold or spoil at a byte that it names: what its customer sends is counted, and whatever is
 * planned for its next place happens there.
 */
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

/** What happens at a place: the connection ends; nothing more passes until `release`; a bit of what comes there is another. */
type Happening = "cut" | "hold" | "spoil";

export class CutProxy {
  readonly #server: Server;
  readonly #to: () => number;
  readonly #sockets = new Set<Socket>();
  #planned: { at: number; what: Happening }[] = [];
  #held: Socket[] = [];
  /** Of what its customer has sent. */
  passed = 0;
  /** What was planned and has happened. */
  happened: Happening[] = [];

  private constructor(to: () => number) {
    this.#to = to;
    this.#server = createServer((near) => this.#join(near));
  }

  /** `to`: the broker's port, which may be another after a restart. */
  static async open(to: () => number): Promise<CutProxy> {
    const proxy = new CutProxy(to);
    await once(proxy.#server.listen(0, "127.0.0.1"), "listening");
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Counted from now on. */
  plan(...planned: { at: number; what: Happening }[]): void {
    this.passed = 0;
    this.happened = [];
    this.#planned = planned;
  }

  #join(near: Socket): void {
    const far = connect(this.#to(), "127.0.0.1");
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(one);
      one.on("error", () => {});
      one.on("close", () => {
        this.#sockets.delete(one);
        other.destroy();
      });
    }
    far.pipe(near);
    near.on("data", (bytes: Buffer) => this.#pass(near, far, bytes));
  }

  #pass(near: Socket, far: Socket, bytes: Buffer): void {
    this.passed += bytes.length;
    const [next] = this.#planned;
    if (next && this.passed >= next.at) {
      this.#planned.shift();
      this.happened.push(next.what);
      if (next.what === "cut") return void near.destroy();
      if (next.what === "spoil") bytes[bytes.length - 1]! ^= 1;
      else {
        near.pause();
        this.#held.push(near);
      }
    }
    if (!far.write(bytes) && !near.isPaused()) {
      near.pause();
      far.once("drain", () => near.resume());
    }
  }

  /** What is held goes on. */
  release(): void {
    for (const near of this.#held.splice(0)) near.resume();
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }
}
