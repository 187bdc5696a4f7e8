import { EventEmitter } from "node:events";
import { PassThrough } from "node:stream";
import { expect, it } from "vitest";
import { CLOSINGS, MemoryShare } from "@xenoservers/protocol/link";
import { SocketPipe, WAITING_BYTES } from "./socket-pipe.ts";

const MIB = 1024 * 1024;

/** A WebSocket whose other end reads when it is told to. */
class Socket extends EventEmitter {
  readonly OPEN = 1;
  readyState = 1;
  isPaused = false;
  closed: [number, string] | null = null;
  readonly unread: { bytes: number; sent: () => void }[] = [];

  get bufferedAmount(): number {
    return this.unread.reduce((sum, { bytes }) => sum + bytes, 0);
  }
  send(message: string | Uint8Array, sent: () => void): void {
    this.unread.push({ bytes: message.length, sent });
  }
  pong(data: Uint8Array, _mask: boolean, sent: () => void): void {
    this.send(data, sent);
  }
  /** Its other end reads one message. */
  read(): void {
    this.unread.shift()?.sent();
  }
  pause(): void {
    this.isPaused = true;
  }
  resume(): void {
    this.isPaused = false;
  }
  close(code: number, why: string): void {
    this.closed ??= [code, why];
    this.readyState = 2;
  }
  ended = false;
  terminate(): void {
    this.ended = true;
  }
}

function pipe(share = new MemoryShare(100 * MIB), admitted = true) {
  const time = { at: 0, wakes: [] as (() => void)[] };
  const timers = {
    now: () => time.at,
    random: () => 0,
    after: (_: number, action: () => void) => (time.wakes.push(action), () => {}),
  };
  const socket = new Socket();
  const raw = new PassThrough();
  const sips = { rests: false, heeds: () => {}, end: () => new PassThrough(), isDeaf: false, deafen: () => void (sips.isDeaf = true) };
  const one = new SocketPipe(socket as never, { raw, sips: sips as never }, share, timers);
  if (admitted) one.admit();
  const heard: unknown[] = [];
  one.onMessage((message) => heard.push(message));
  /** Bytes as they come; a message is whole when all of its frame has. */
  const come = (bytes: number): void => void raw.emit("data", new Uint8Array(bytes));
  const whole = (bytes: number): void => void socket.emit("message", Buffer.alloc(bytes), true);
  return { time, socket, one, share, heard, come, whole, sips };
}

it("does not listen to whoever does not read, and listens again when it does", () => {
  const { socket, one, share } = pipe();
  for (let i = 0; i < 5; i++) one.passOn(new Uint8Array(MIB / 4), () => {});
  expect([socket.isPaused, share.used]).toEqual([true, 5 * (MIB / 4 + WAITING_BYTES)]);
  socket.read();
  expect(socket.isPaused).toBe(true);
  socket.read();
  expect([socket.isPaused, share.used]).toEqual([false, 3 * (MIB / 4 + WAITING_BYTES)]);
});

it("does not listen to whoever asks on and reads none of its answers, long before a channel's window is full", () => {
  const { socket, one } = pipe();
  const answers = 32;
  for (let i = 0; i < answers; i++) one.send("x".repeat(1024));
  expect(socket.isPaused).toBe(true);
  one.passOn(new Uint8Array(MIB / 4), () => {});
  for (let i = 0; i < answers; i++) socket.read();
  expect(socket.isPaused).toBe(false);
});

it("gives back the memory of what it passed on when it is sent, and not before", () => {
  const { socket, one } = pipe();
  const [whole, shares] = [new Uint8Array(MIB), new Uint8Array(MIB).subarray(1)];
  one.passOn(whole, () => {});
  one.passOn(shares, () => {});
  expect(whole.length).toBe(MIB);
  socket.read();
  socket.read();
  expect([whole.buffer.byteLength, shares.buffer.byteLength]).toEqual([0, MIB]);
});

it("is deaf once it is closed, whatever its other end still sends and reads", () => {
  const { socket, one } = pipe();
  one.send("a");
  one.close("too-much");
  expect(socket.isPaused).toBe(true);
  socket.read();
  expect(socket.isPaused).toBe(true);
});

it("counts small messages that wait for what they take, not for their bytes alone", () => {
  const { socket, one, share } = pipe();
  for (let i = 0; i < 3_000; i++) one.send("pong");
  expect([socket.isPaused, share.used]).toEqual([true, 3_000 * (4 + WAITING_BYTES)]);
});

it("cuts whoever reads nothing of what waits for it, with a code and words; not who reads slowly", () => {
  const { socket, one, time } = pipe();
  one.send("a");
  one.send("b");
  time.at += 29_000;
  socket.read();
  time.at += 29_000;
  one.look();
  expect(socket.closed).toBeNull();
  time.at += 2_000;
  one.look();
  expect(socket.closed).toEqual([1008, expect.stringContaining("read faster")]);
});

it("cuts whoever says nothing for so many beats, with words, and waits for no goodbye; not whom it does not listen to itself", () => {
  const { socket, one, time, come, sips } = pipe();
  const beats = (count: number): void => {
    for (let i = 0; i < count; i++) one.missBeat(3);
  };
  beats(3);
  // anything will do, also a part of something
  come(1);
  beats(3);
  sips.rests = true;
  beats(9);
  sips.rests = false;
  beats(3);
  expect([socket.closed, socket.ended]).toEqual([null, false]);
  beats(1);
  expect(socket.closed).toEqual([1008, expect.stringContaining("nothing was heard from this end in time")]);
  for (const wake of time.wakes) wake();
  expect(socket.ended).toBe(true);
  const stranger = pipe(undefined, false);
  for (let i = 0; i < 9; i++) stranger.one.missBeat(3);
  expect(stranger.socket.closed).toBeNull();
});

it("cuts who begins a message and does not end it; not who says nothing, nor who sends on the whole time", () => {
  const quiet = pipe();
  quiet.time.at += 3_600_000;
  quiet.one.look();
  expect(quiet.socket.closed).toBeNull();

  const { socket, one, time, share, come, whole } = pipe();
  come(60_000);
  expect(share.used).toBe(60_000);
  time.at += 29_000;
  // its end, and 40,000 bytes of the next
  come(80_008);
  whole(100_000 - 8);
  expect(share.used).toBe(60_000 + 80_008 - 100_000 - 6);
  time.at += 29_000;
  one.look();
  expect(socket.closed).toBeNull();
  time.at += 2_000;
  one.look();
  expect(socket.closed).toEqual([1008, expect.stringContaining("did not come to its end")]);
});

it("keeps of a stranger no more than a login is long, and lets it stand so that it is not back at once", () => {
  const { socket, share, sips, come } = pipe(undefined, false);
  come(16 * 1024);
  expect(socket.closed).toBeNull();
  come(64 * 1024);
  expect(socket.closed).toEqual([1008, expect.stringContaining("no login")]);
  expect([socket.isPaused, sips.isDeaf, socket.ended]).toEqual([true, true, false]);
  expect(share.used).toBeLessThan(16 * 1024 + 1024);
  socket.emit("close");
  expect(share.used).toBe(0);
});

it("says when what it passed on waits no more", () => {
  const { socket, one } = pipe();
  let unread = 3;
  one.passOn(new Uint8Array(3), () => (unread -= 3));
  expect(unread).toBe(3);
  socket.read();
  expect(unread).toBe(0);
});

it("what is left of frames' own bytes is nobody's half message", () => {
  const { socket, one, time, share, come, whole } = pipe();
  for (let i = 0; i < 1_000; i++) {
    come(1_020);
    whole(1_000);
  }
  time.at += 3_600_000;
  one.look();
  expect([socket.closed, share.used]).toEqual([null, 0]);
});

it.each(Object.entries(CLOSINGS))("%s can be said in the close of a WebSocket", (_, { code, says }) => {
  expect([1001, 1008, 1013]).toContain(code);
  expect(Buffer.byteLength(says)).toBeLessThanOrEqual(123);
});

it("answers WebSocket's own pings, which count and wait as all else", () => {
  const { socket, one, share } = pipe();
  let control = 0;
  one.onControl(() => control++);
  socket.emit("ping", Buffer.alloc(100));
  expect([socket.unread.length, control, share.used]).toEqual([1, 1, 100 + WAITING_BYTES]);
});

it("holds nothing once it is closed, and goes first where it holds most", () => {
  const share = new MemoryShare(3 * MIB);
  const [greedy, honest] = [pipe(share), pipe(share)];
  greedy.one.send(new Uint8Array(2 * MIB));
  honest.one.send(new Uint8Array(MIB));
  honest.one.send(new Uint8Array(MIB / 2));
  expect(greedy.socket.closed).toEqual([1013, expect.stringContaining("try again later")]);
  expect([honest.socket.closed, share.used]).toEqual([null, 1.5 * MIB + 2 * WAITING_BYTES]);
  honest.socket.emit("close");
  greedy.socket.emit("close");
  expect(share.used).toBe(0);
});
