import type { Pipe } from "./pipe.ts";

/** One channel session inside a link: messages that come before anyone listens wait; it closes with the link. */
export class ChannelPipe implements Pipe {
  readonly #send: (bytes: Uint8Array) => void;
  readonly #closed: () => void;
  #onMessage: ((message: Uint8Array) => void) | null = null;
  #onClose: () => void = () => {};
  #early: Uint8Array[] = [];
  #open = true;

  constructor(send: (bytes: Uint8Array) => void, closed: () => void) {
    this.#send = send;
    this.#closed = closed;
  }

  send(message: string | Uint8Array): void {
    if (this.#open && typeof message !== "string") this.#send(message);
  }

  close(): void {
    if (!this.#open) return;
    this.#closed();
    this.lost();
  }

  onMessage(handler: (message: string | Uint8Array) => void): void {
    this.#onMessage = handler;
    for (const message of this.#early.splice(0)) handler(message);
  }

  onClose(handler: () => void): void {
    this.#onClose = handler;
    if (!this.#open) handler();
  }

  deliver(bytes: Uint8Array): void {
    if (!this.#open) return;
    if (this.#onMessage) this.#onMessage(bytes);
    else this.#early.push(bytes.slice());
  }

  /** The other end, or the link under it, is gone. */
  lost(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#onClose();
  }
}
