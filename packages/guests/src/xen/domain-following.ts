/**
 * What is looked at while a domain runs, and how often: whether it is there, and what emulates its hardware, what it printed, whether its
 * console is kept and its disk can be written. Who controls the inputs: the guest (what it prints, what QEMU says), the owner's disk.
 */
import type { DeviceModel } from "./device-model.ts";
import type { DomainBackEnd } from "./domain-back-end.ts";
import type { DomainEnd } from "./domain-end.ts";
import { boundOf, printedBytes } from "./domain-console.ts";
import { overlayLost, type Overlay } from "./disk-overlay.ts";
import type { DomainRoom } from "./domain-room.ts";
import { POLL_MS } from "./domain-talk.ts";
import type { DomainToken } from "./domain-token.ts";
import type { DomainWatch } from "./domain-watch.ts";
import type { ListedDomain } from "./listing.ts";

/** How often it is looked at whether its console is kept. */
const KEPT_POLLS = 8;
/** How often it is looked at whether its disk can be written. */
const DISK_POLLS = 40;
/** How often it is looked at whether what emulates its hardware is there, and what dom0's kernel began for it. */
const MODEL_POLLS = 4;

interface FollowingOf {
  watch: DomainWatch;
  token: Pick<DomainToken, "folder" | "uuid" | "outputMibMax">;
  over: Overlay | undefined;
  /** Null where it has no disk that grows. */
  room: DomainRoom | null;
  deviceModel: DeviceModel | null;
  /** Null where dom0's kernel does nothing for it: it has neither disk nor card. */
  backEnd: DomainBackEnd | null;
  /** Null: it is gone. */
  look(found: ListedDomain | null): void;
  keepAgain(): Promise<void>;
  /** There may be new output. */
  changed(): void;
  end(end: DomainEnd): Promise<void>;
  /** What emulates its hardware is gone, and why. */
  modelGone(why: string): Promise<void>;
  failed(what: string, error: unknown): void;
}

export class DomainFollowing {
  readonly #of: FollowingOf;
  #printed = 0;
  /** The domain's number, as it was seen last. */
  #id: number | null = null;
  #isOn = false;
  #unfollow: () => void = () => {};
  #timer: NodeJS.Timeout | null = null;

  constructor(of: FollowingOf) {
    this.#of = of;
  }

  begin(): void {
    const { watch, token, room, backEnd, look, keepAgain, failed } = this.#of;
    this.#isOn = true;
    this.#unfollow = watch.follow(token.uuid, (found) => {
      this.#id = found?.id ?? null;
      look(found);
    });
    let polls = 0;
    this.#timer = setInterval(() => {
      void this.#hear().catch((error: unknown) => failed("was not heard", error));
      void room?.look().catch((error: unknown) => failed("has a disk whose room was not looked at", error));
      if (++polls % KEPT_POLLS === 0) void keepAgain().catch((error: unknown) => failed("has no console", error));
      if (polls % MODEL_POLLS === 0) void this.#lookAtModel().catch((error: unknown) => failed("has a QEMU that was not seen", error));
      if (backEnd && polls % MODEL_POLLS === 0 && this.#id !== null)
        void backEnd.hold(this.#id).catch((error: unknown) => failed("has no bounds for its disks", error));
      if (polls % DISK_POLLS === 0) void this.#lookAtDisk().catch((error: unknown) => failed("has a disk that was not seen", error));
    }, POLL_MS);
  }

  end(): void {
    this.#isOn = false;
    this.#unfollow();
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
  }

  /** Its guest has only errors from then on, which are no doing of its own. */
  async #lookAtDisk(): Promise<void> {
    const detail = await overlayLost(this.#of.over);
    if (detail !== null) await this.#of.end({ kind: "host", detail });
  }

  async #lookAtModel(): Promise<void> {
    const why = (await this.#of.deviceModel?.gone()) ?? null;
    if (why !== null && this.#isOn) await this.#of.modelGone(why);
  }

  async #hear(): Promise<void> {
    const { folder, outputMibMax } = this.#of.token;
    const printed = await printedBytes(folder);
    if (!this.#isOn || printed === this.#printed) return;
    this.#printed = printed;
    this.#of.changed();
    if (printed < boundOf(outputMibMax)) return;
    await this.#of.end({ kind: "output-limit", detail: `it printed more than ${outputMibMax} MiB` });
  }
}
