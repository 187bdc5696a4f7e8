/** A viewer by hand (RFC 6143), which says whatever it wants to. */
import { createCipheriv } from "node:crypto";
import { once } from "node:events";
import { connect, type Socket } from "node:net";

/** DES as VNC has it, apart from the product's: bits of the key the other way round. */
function answer(challenge: Buffer, password: string): Buffer {
  const key = Buffer.from(password.padEnd(8, "\0"), "latin1").map((byte) =>
    Number.parseInt([...byte.toString(2).padStart(8, "0")].reverse().join(""), 2),
  );
  return createCipheriv("des-ede3-ecb", Buffer.concat([key, key, key]), null)
    .setAutoPadding(false)
    .update(challenge);
}

export class RawViewer {
  readonly socket: Socket;
  #came = Buffer.alloc(0);
  isOver = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (bytes: Buffer) => (this.#came = Buffer.concat([this.#came, bytes])));
    socket.on("error", () => {});
    socket.once("close", () => (this.isOver = true));
  }

  static async to(port: number): Promise<RawViewer> {
    const viewer = new RawViewer(connect(port, "127.0.0.1"));
    await once(viewer.socket, "connect");
    return viewer;
  }

  /** Throws where the other side ends first. */
  async take(count: number): Promise<Buffer> {
    while (this.#came.length < count) {
      if (this.isOver) throw new Error("the other side has ended");
      await Promise.race([once(this.socket, "data"), once(this.socket, "close")]);
    }
    const bytes = this.#came.subarray(0, count);
    this.#came = this.#came.subarray(count);
    return bytes;
  }

  async ended(): Promise<void> {
    if (!this.isOver) await once(this.socket, "close");
  }

  /** Up to the word on the password: 0 is welcome. */
  async login(password: string, version = "RFB 003.008\n"): Promise<number> {
    await this.take(12);
    this.socket.write(version);
    if (version === "RFB 003.003\n") await this.take(4);
    else {
      await this.take(2);
      this.socket.write(Buffer.from([2]));
    }
    this.socket.write(answer(await this.take(16), password));
    return (await this.take(4)).readUInt32BE();
  }

  /** The screen's width and height. */
  async begin(): Promise<[number, number]> {
    this.socket.write(Buffer.from([0])); // alone, if it went by this
    const init = await this.take(24);
    await this.take(init.readUInt32BE(20));
    return [init.readUInt16BE(0), init.readUInt16BE(2)];
  }

  key(code: number): void {
    for (const down of [1, 0]) this.socket.write(Buffer.from([4, down, 0, 0, 0, 0, code >> 8, code & 255]));
  }

  /** Asks for all of a screen of that size. */
  ask([width, height]: [number, number]): void {
    const bytes = Buffer.from([3, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    bytes.writeUInt16BE(width, 6);
    bytes.writeUInt16BE(height, 8);
    this.socket.write(bytes);
  }
}
