/**
 * The QEMU guest agent of a machine (QEMU docs/interop/qemu-ga): one request at a time. Who controls the inputs: the guest, every byte of
 * an answer; answers are handed to the lease's customer and never acted on.
 */
import { randomInt } from "node:crypto";
import type { Duplex } from "node:stream";
import { JsonLines, QmpError } from "./qmp.ts";

const SYNC_TRIES = 3;
const SYNC_MS = 4_000;
const ANSWER_MS = 30_000;
/** Of a quarter of a minute each. */
const CLOCK_TRIES = 20;
const NANOSECONDS_PER_MS = 1_000_000;
/** Of one answer: what a program printed comes whole, files in pieces. */
export const AGENT_ANSWER_BYTES_MAX = 4 * 1024 * 1024;

export class GuestAgent {
  readonly #connect: () => Promise<Duplex>;
  readonly #answerMs: number;
  #lines: JsonLines | null = null;
  #turn: Promise<unknown> = Promise.resolve();
  /** How often its guest was to be told the time. */
  #told = 0;

  /** `answerMs`: how long an answer may take, from a guest that has hardly any processor. */
  constructor(connect: () => Promise<Duplex>, answerMs = ANSWER_MS) {
    this.#connect = connect;
    this.#answerMs = answerMs;
  }

  /** Whoever asked it before may have left answers under way, and half a request: `sync` says where ours begin. */
  async #open(): Promise<JsonLines> {
    const lines = new JsonLines(await this.#connect(), AGENT_ANSWER_BYTES_MAX);
    for (let attempt = 0; attempt < SYNC_TRIES; attempt++) {
      if (await lines.sync(randomInt(1, 2 ** 31), SYNC_MS)) return lines;
    }
    lines.close();
    throw new QmpError("no agent answers inside the guest: install qemu-guest-agent in it, and wait until it has booted");
  }

  /** Throws QmpError with what the agent says, or that there is none. `args`: a function is called when its turn has come. */
  ask(command: string, args: Record<string, unknown> | (() => Record<string, unknown>)): Promise<unknown> {
    const answer = this.#turn.then(async () => {
      const lines = this.#lines?.isOver === false ? this.#lines : await this.#open();
      this.#lines = lines;
      return lines.execute(command, typeof args === "function" ? args() : args, this.#answerMs);
    });
    this.#turn = answer.catch(() => {});
    return answer;
  }

  /**
   * Tells the guest the time of day as it is then, once it answers: a guest that boots or is busy takes its time, and nothing else makes
   * its clock right again. Resolves, too, where none answers so many tries, or when it is asked for anew meanwhile.
   */
  async tellTime(tries = CLOCK_TRIES): Promise<void> {
    const told = ++this.#told;
    for (let left = tries; left > 0 && told === this.#told; left--)
      try {
        await this.ask("guest-ping", {});
        return void (await this.ask("guest-set-time", () => ({ time: Date.now() * NANOSECONDS_PER_MS })));
      } catch {
        // not every guest has an agent
      }
  }

  close(): void {
    this.#told++;
    this.#lines?.close();
    this.#lines = null;
  }
}
