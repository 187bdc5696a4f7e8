/**
 * Look-ups of names for guests, by a resolver of their own: those of the daemon itself go through threads that it has few of
 * (getaddrinfo(3) in libuv's pool), which guests could fill. So many are under way for one guest, and so many for all; beyond, nothing is
 * asked. Who controls the inputs: the guest (names, how many), the name servers (answers, how late).
 */
import { Resolver } from "node:dns/promises";

const OF_ONE_MAX = 8;
const OF_ALL_MAX = 64;
const TRY_MS = 2_000;
const TRIES = 2;
/** What name servers say where a name exists and has no such address, or does not exist. */
const NOTHING = ["ENODATA", "ENOTFOUND"];

/** Those of all guests of this process. */
export class LookUpRoom {
  #taken = 0;
  readonly #most: number;

  constructor(most = OF_ALL_MAX) {
    this.#most = most;
  }

  take(): boolean {
    if (this.#taken >= this.#most) return false;
    this.#taken += 1;
    return true;
  }

  give(): void {
    this.#taken -= 1;
  }
}

export class LookUps {
  readonly #room: LookUpRoom;
  readonly #resolver = new Resolver({ timeout: TRY_MS, tries: TRIES });
  readonly #resolve: (name: string) => Promise<string[]>;
  #underWay = 0;

  /** `resolve`: addresses of a name; this machine's name servers are asked when absent. */
  constructor(room: LookUpRoom, resolve?: (name: string) => Promise<string[]>) {
    this.#room = room;
    this.#resolve = resolve ?? ((name) => this.#resolver.resolve4(name));
  }

  /** Null where it failed, or too many are under way. */
  async find(name: string): Promise<string[] | null> {
    if (this.#underWay >= OF_ONE_MAX || !this.#room.take()) return null;
    this.#underWay += 1;
    try {
      return await this.#resolve(name);
    } catch (error) {
      return error instanceof Error && "code" in error && NOTHING.includes(String(error.code)) ? [] : null;
    } finally {
      this.#underWay -= 1;
      this.#room.give();
    }
  }

  /** What is under way fails now. */
  close(): void {
    this.#resolver.cancel();
  }
}
