/** A screen that QEMU shows on a socket, and how many look at it. Who controls the inputs: customers, how often they look. */
import type { Socket } from "node:net";
import { QmpError, connectSocket } from "./qmp.ts";

/** Of one machine: QEMU holds a picture for each. */
const VIEWERS_MAX = 4;

export class Viewers {
  readonly #file: string;
  #count = 0;

  /** `file`: its socket. */
  constructor(file: string) {
    this.#file = file;
  }

  /** RFB (RFC 6143) without a password, as QEMU speaks it. Throws QmpError where many look at it. */
  async open(): Promise<Socket> {
    if (this.#count >= VIEWERS_MAX) throw new QmpError(`at most ${VIEWERS_MAX} viewers look at a machine's screen at once`);
    this.#count++;
    const socket = await connectSocket(this.#file).catch((error: unknown) => {
      this.#count--;
      throw error;
    });
    return socket.once("close", () => this.#count--);
  }
}
