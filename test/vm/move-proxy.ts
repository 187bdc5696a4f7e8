/** The way between two servers that hand leases over, which a test can hold in either direction, and where it counts what has passed. */
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

export class MoveProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #held = { there: false, back: false };
  /** Who is held once so much has passed. */
  #holdAt = Number.POSITIVE_INFINITY;
  /** Of what whoever connects has sent. */
  passed = 0;
  readonly #near = new Set<Socket>();
  readonly #far = new Set<Socket>();

  private constructor(to: number) {
    this.#server = createServer((near) => this.#join(near, connect(to, "127.0.0.1")));
  }

  /** `to`: where the other server listens. */
  static async open(to: number): Promise<MoveProxy> {
    const proxy = new MoveProxy(to);
    await once(proxy.#server.listen(0, "127.0.0.1"), "listening");
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Nothing more passes `there` once so many bytes have, counted from now on. */
  holdAfter(bytes: number): void {
    this.passed = 0;
    this.#holdAt = bytes;
  }

  hold(way: "there" | "back"): void {
    this.#held[way] = true;
    for (const socket of way === "there" ? this.#near : this.#far) socket.pause();
  }

  /** Whatever is held goes on. */
  release(way: "there" | "back"): void {
    this.#holdAt = Number.POSITIVE_INFINITY;
    this.#held[way] = false;
    for (const socket of way === "there" ? this.#near : this.#far) socket.resume();
  }

  get isHeld(): boolean {
    return this.#held.there;
  }

  #join(near: Socket, far: Socket): void {
    this.#near.add(near);
    this.#far.add(far);
    for (const [one, other, way] of [
      [near, far, "there"],
      [far, near, "back"],
    ] as const) {
      this.#sockets.add(one);
      one.on("error", () => {});
      // what is held does not hear that the other end is gone
      one.on("close", () => {
        for (const all of [this.#sockets, this.#near, this.#far]) all.delete(one);
        other.destroy();
      });
      one.on("data", (bytes: Buffer) => {
        if (way === "there" && (this.passed += bytes.length) >= this.#holdAt) this.hold("there");
        if (!other.write(bytes)) {
          one.pause();
          other.once("drain", () => void (this.#held[way] || one.resume()));
        }
        if (this.#held[way]) one.pause();
      });
      if (this.#held[way]) one.pause();
    }
  }

  /** Both ends find out that the other is gone. */
  cut(): void {
    this.release("there");
    this.release("back");
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, "close");
  }
}
