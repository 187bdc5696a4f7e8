/**
 * A domain on its way to another host: why it stays, where it does; its state, sent as it stands still; its disks, which nobody writes
 * to then. Who controls the inputs: the guest (whether its kernel suspends itself, what its memory and disks hold).
 */
import path from "node:path";
import type { DomainPlan } from "./domain-config.ts";
import { CONSOLE_LOG } from "./domain-console.ts";
import { unchangedOf, type DomainSaving } from "./domain-save.ts";
import type { ListedDomain } from "./listing.ts";
import type { DomainTalk } from "./domain-talk.ts";

interface CarryingOf {
  plan: Pick<DomainPlan, "kind" | "emulation" | "disk" | "over" | "beside">;
  isImage: boolean;
  saving: Pick<DomainSaving, "still" | "live">;
  talk: Pick<DomainTalk, "lastWords">;
  /** The domain's own. */
  folder: string;
  /** As it is now. */
  found(): Promise<ListedDomain | null>;
  /** Whether it starts again just now, or has ended. */
  settles(): boolean;
  /** It stands still, and its state was had: of one that ran, or was saved. */
  saved(how: "live" | "saved"): void;
  /** It runs on: not all of its state was sent. */
  notSent(error: unknown): void;
}

/** Its Linux closes its disk's event channel where it goes on elsewhere, for it has consoles beside its first (ADR 73). */
export const IMAGE_STAYS = "an image's domain cannot go on in another: its Linux would lose its disk";
export const EMULATED_STAYS = "its domain has emulated hardware (HVM), whose state is not carried";

/** Where xenstore does not say that the kernel of one that is sent while it runs has suspended itself, how often it is looked at most. */
const STILL_LOOK_MS = 2_000;
/** A look is a program of dom0's, which has the state to send meanwhile: so many times as long as one took passes before the next. */
const LOOK_APART_TIMES = 10;
const SETTLES = "the domain starts again, or has ended";

export class DomainCarrying {
  readonly #of: CarryingOf;
  #still: () => void = () => {};
  /** What it printed last, from when the last of its state was had. */
  #words: Promise<void> | null = null;

  constructor(of: CarryingOf) {
    this.#of = of;
  }

  /** Why it cannot go on at another host, in words; null where it can. */
  get problem(): string | null {
    if (this.#of.plan.emulation) return EMULATED_STAYS;
    return this.#of.isImage ? IMAGE_STAYS : null;
  }

  /** How it meets the hypervisor: elsewhere it is no other. */
  get kind(): DomainPlan["kind"] {
    return this.#of.plan.kind;
  }

  /** Files of its disks: what it writes (null: nothing), and what nobody does. */
  get disks(): { own: string | null; unchanged: string[] } {
    return { own: this.#of.plan.disk, unchanged: unchangedOf(this.#of.plan) };
  }

  /** Whether it runs now: one that is paused is not sent while it runs. */
  async runs(): Promise<boolean> {
    return (await this.#of.found())?.paused === false;
  }

  /** Its state, sent while it runs; once the last of it was had it stands still. Where that fails, or is not wanted, it goes on. */
  async *live(): AsyncGenerator<Uint8Array> {
    if (this.#of.settles()) throw new Error(SETTLES);
    this.#words = null;
    const looked = this.#lookNowAndThen();
    try {
      yield* this.#of.saving.live(() => this.#listen());
    } catch (error) {
      this.#of.notSent(error);
      throw error;
    } finally {
      looked();
    }
    this.#of.saved("live");
  }

  /** Called where it stands still while the last of its state is sent, once or more. */
  onStill(told: () => void): void {
    this.#still = told;
  }

  /** Until the function that comes back is called. */
  #lookNowAndThen(): () => void {
    let isOver = false;
    let timer: NodeJS.Timeout;
    const lookAfter = (ms: number): void => {
      timer = setTimeout(async () => {
        const begun = performance.now();
        this.seen(await this.#of.found().catch(() => null));
        if (!isOver) lookAfter(Math.max(STILL_LOOK_MS, LOOK_APART_TIMES * (performance.now() - begun)));
      }, ms);
    };
    lookAfter(STILL_LOOK_MS);
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }

  /** As it is listed now, by whoever has looked. */
  seen(found: ListedDomain | null): void {
    if (found?.shutdown === "suspend") this.#still();
  }

  /** It prints no more: what it printed is on its way while all else is done that is to be done before it goes on. */
  #listen(): void {
    this.#words = this.#of.talk.lastWords();
    this.#words.catch(() => {}); // said to whoever waits for them
  }

  /** Its state, sent while it stands still. It does afterwards, also where that fails. Throws in words. */
  async *still(): AsyncGenerator<Uint8Array> {
    if (this.#of.settles()) throw new Error(SETTLES);
    this.#words = null;
    yield* this.#of.saving.still(() => this.#listen());
    this.#of.saved("saved");
  }

  /** The file of what it has printed. */
  get console(): string {
    return path.join(this.#of.folder, CONSOLE_LOG);
  }

  /** Until all has come that it printed before it stood still. */
  lastWords(): Promise<void> {
    return this.#words ?? this.#of.talk.lastWords();
  }
}
