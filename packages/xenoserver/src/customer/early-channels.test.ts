/** Channels that come before their lease is known: none is lost, and nobody has much wait here. */
import type { Pipe } from "@xenoservers/protocol/link";
import { describe, expect, it } from "vitest";
import { EarlyChannels } from "./early-channels.ts";

/** An end of a channel whose other end says what a test has it say. */
class FarPipe implements Pipe {
  say: (message: Uint8Array) => void = () => {};
  isClosed = false;
  #closed: () => void = () => {};
  send(): void {}
  close(): void {
    this.isClosed = true;
    this.#closed();
  }
  onMessage(handler: (message: string | Uint8Array) => void): void {
    this.say = handler;
  }
  onClose(handler: () => void): void {
    this.#closed = handler;
  }
}

const LEASE = "ab".repeat(32);

describe("a channel that comes early", () => {
  it("waits, is handed on with what was said first, and hears all that follows", async () => {
    const early = new EarlyChannels();
    const decision = Promise.withResolvers<void>();
    const decided: Pipe[] = [];
    const during = early.during(LEASE, decision.promise, (pipe) => void decided.push(pipe));
    const far = new FarPipe();
    expect(early.waits(LEASE, far)).toBe(true);
    const bytes = Uint8Array.of(1, 2);
    far.say(bytes);
    bytes.fill(0); // they were the handler's until it returned
    expect(decided).toEqual([]);
    decision.resolve();
    await during;
    const heard: number[][] = [];
    decided[0]!.onMessage((message) => void heard.push([...(message as Uint8Array)]));
    far.say(Uint8Array.of(3));
    expect(heard).toEqual([[1, 2], [3]]);
    expect(early.waits(LEASE, new FarPipe())).toBe(false);
  });

  it("is handed on also where the decision failed, once, however often it was asked for", async () => {
    const early = new EarlyChannels();
    const decision = Promise.withResolvers<void>();
    const decided: string[] = [];
    const both = [
      early.during(LEASE, decision.promise, () => void decided.push("first")),
      early.during(LEASE, decision.promise, () => void decided.push("second")),
    ];
    early.waits(LEASE, new FarPipe());
    decision.reject(new Error("the disk is gone"));
    expect((await Promise.allSettled(both)).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(decided).toEqual(["first"]);
  });

  it("is one of few, and says one thing before it has an answer", () => {
    const early = new EarlyChannels();
    void early.during(LEASE, new Promise(() => {}), () => {});
    expect(early.waits("cd".repeat(32), new FarPipe())).toBe(false);
    const all = Array.from({ length: 5 }, () => new FarPipe());
    expect(all.map((far) => early.waits(LEASE, far))).toEqual([true, true, true, true, false]);
    all[0]!.say(Uint8Array.of(1));
    expect(all[0]!.isClosed).toBe(false);
    all[0]!.say(Uint8Array.of(2));
    expect(all[0]!.isClosed).toBe(true);
  });

  it("is forgotten when it closes: others have its place, and nothing is decided about it", async () => {
    const early = new EarlyChannels();
    const decision = Promise.withResolvers<void>();
    let decided = 0;
    const during = early.during(LEASE, decision.promise, () => void decided++);
    const all = Array.from({ length: 8 }, () => new FarPipe());
    for (const far of all) {
      expect(early.waits(LEASE, far)).toBe(true);
      if (far !== all[0]) far.close();
    }
    decision.resolve();
    await during;
    expect(decided).toBe(1);
  });
});
