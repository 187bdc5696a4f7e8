/**
 * A guest's connection outside, as the two that it is made of: what one side ends ends at the other, its own bytes still coming, and what
 * one side breaks off is broken off at the other, so that half a file is nowhere taken for a whole one. Who controls the inputs: the guest
 * and whoever it talks with, every byte and how it ends.
 */
import type { Socket } from "node:net";
import { finished, type Transform } from "node:stream";
import type { GuestConnection } from "./guest-connection.ts";

const isWhole = (socket: Socket): boolean => socket.readableEnded && socket.writableFinished;

export class Passage {
  readonly #inside: GuestConnection;
  readonly #outside: Socket;
  /** Resolves when nothing of either is left. */
  readonly closed: Promise<unknown>;

  /** `outside`: may still be connecting. */
  constructor(inside: GuestConnection, outside: Socket) {
    this.#inside = inside;
    this.#outside = outside;
    for (const socket of [inside, outside]) {
      socket.allowHalfOpen = true;
      // who wrote it has waited for more already, or wanted none
      socket.setNoDelay(true).on("error", () => {});
    }
    this.closed = Promise.all([inside, outside].map((each) => new Promise((done) => each.once("close", done))));
    inside.once("close", () => {
      if (!isWhole(inside)) this.#dropOutside();
    });
    outside.once("close", () => {
      if (isWhole(outside)) return;
      if (!outside.readableEnded) return void inside.breakOff();
      // it has said all, and hears no more: what it said comes first
      finished(inside, { readable: false }, () => void inside.breakOff());
    });
  }

  /** Whether another may have its place: the guest has said all, and may be gone for all that is known, or nobody is outside any more. */
  get isSpare(): boolean {
    return this.#inside.readableEnded || this.#outside.destroyed;
  }

  /** From when it is connected on. `counted`: what the bytes of one direction go through, and end in an error where no more may. */
  join(counted: () => Transform): void {
    const [out, back] = [counted(), counted()];
    for (const each of [out, back]) each.on("error", () => void this.breakOff());
    this.#inside.once("end", () => void this.#saidAll(out));
    this.#inside.pipe(out, { end: false }).pipe(this.#outside);
    this.#outside.pipe(back).pipe(this.#inside);
  }

  async #saidAll(out: Transform): Promise<void> {
    if (await this.#inside.wasBrokenOff()) void this.breakOff();
    else out.end();
  }

  /** Resolves when the guest is told, which is when it has taken what was said before. */
  breakOff(): Promise<void> {
    this.#dropOutside();
    return this.#inside.breakOff();
  }

  #dropOutside(): void {
    // of one that connects a reset waits until it has
    if (this.#outside.connecting) this.#outside.destroy();
    else this.#outside.resetAndDestroy();
  }

  /** At once, whatever is under way: a guest that takes nothing may take what it has for all. */
  drop(): void {
    this.#dropOutside();
    this.#inside.resetAndDestroy();
  }
}
