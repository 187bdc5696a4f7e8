import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
/** Who does not use what comes stops who sends, whatever is sent; and who does not keep to it is cut. */
import { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import { describe, expect, it } from "vitest";
import Noise from "noise-handshake";
import Cipher from "noise-handshake/cipher.js";
import { bytesOfHex, concatBytes, toHex } from "../bytes.ts";
import type { Pipe } from "../link/pipe.ts";
import { MemoryShare } from "../link/memory-share.ts";
import {
  CHANNEL_WINDOW_BYTES,
  PART_BYTES_MAX,
  Tunnel,
  Turns,
  channelKeyPair,
  initiateChannel,
  parseChannelHeader,
  SecureChannel,
  respondChannel,
  type Channel,
  type ChannelHeader,
} from "./channel.ts";

const PO = "ab".repeat(32);
/** And what the cipher adds to each. */
const PACKET = 65_535 + 1024;
const customer = channelKeyPair();
const server = channelKeyPair();

/** How many bytes have gone one way. */
interface Way {
  passed: number;
}

async function channels(memory?: MemoryShare): Promise<{ ours: Channel; theirs: Channel; there: Way; closed: { why: string | null } }> {
  const ends = [0, 1].map(() => ({ deliver: (_: string | Uint8Array) => {}, close: () => {} }));
  const ways: Way[] = [];
  const pipeOf = (own: number): Pipe => {
    const other = (): (typeof ends)[number] => ends[1 - own]!;
    const way: Way = (ways[own] = { passed: 0 });
    return {
      send(message) {
        way.passed += message.length;
        queueMicrotask(() => other().deliver(message));
      },
      close: () => ends.forEach(({ close }) => close()),
      onMessage: (handler) => void (ends[own]!.deliver = handler),
      onClose: (handler) => void (ends[own]!.close = handler),
    };
  };
  const [a, b] = [pipeOf(0), pipeOf(1)];
  const theirs = new Promise<Channel>((ready) => respondChannel(b, server, toHex(customer.publicKey), PO, ready, memory));
  const ours = await initiateChannel(a, customer, toHex(server.publicKey), PO);
  const closed: { why: string | null } = { why: null };
  (await theirs).onClose((why) => (closed.why = why));
  return { ours, theirs: await theirs, there: ways[0]!, closed };
}

/** A server's end, and a customer who says what it likes in packets of its own. */
async function rude() {
  const closed: { why: string | null } = { why: null };
  let deliver = (_: string | Uint8Array): void => {};
  let close = (): void => {};
  const noise = new Noise("IK", true, customer);
  noise.initialise(Buffer.from(bytesOfHex(PO)), Buffer.from(server.publicKey));
  const pipe: Pipe = {
    send: (message) => void (noise.complete || noise.recv(Buffer.from(message as Uint8Array))),
    close: () => close(),
    onMessage: (handler) => void (deliver = handler),
    onClose: (handler) => void (close = handler),
  };
  const ready = new Promise<Channel>((resolve) => respondChannel(pipe, server, toHex(customer.publicKey), PO, resolve));
  deliver(noise.send());
  const theirs = await ready;
  theirs.onClose((why) => (closed.why = why));
  const out = new Cipher(noise.rx);
  return { theirs, closed, say: (plain: Uint8Array) => deliver(out.encrypt(Buffer.from(plain))) };
}

/** All that can happen without anybody's doing has happened. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
const part = (): [ChannelHeader, Uint8Array] => [{ t: "part", digest: PO, offset: 0 }, new Uint8Array(PART_BYTES_MAX)];

describe("a channel", () => {
  it("has no more than a window under way to who does not use it, and goes on where it is used", async () => {
    const { ours, theirs, there } = await channels();
    const gates: (() => void)[] = [];
    theirs.onMessage(() => new Promise<void>((use) => void gates.push(use)));
    const before = there.passed;
    const state = { sent: 0 };
    const sending = (async () => {
      for (let i = 0; i < 12; i++) await ours.send(...part()).then(() => state.sent++);
    })();
    await settled();
    expect(there.passed - before).toBeLessThanOrEqual(CHANNEL_WINDOW_BYTES + PACKET);
    expect(state.sent).toBeLessThan(4);
    const stopped = there.passed;
    await settled();
    expect(there.passed).toBe(stopped);
    for (let i = 0; i < 12; i++) {
      gates.shift()?.();
      await settled();
    }
    await sending;
    expect(state.sent).toBe(12);
  });

  it.each([
    ["nothing, as before there were windows to be said", [], 512 * 1024],
    ["more than there is", [255, 255, 255, 255], CHANNEL_WINDOW_BYTES],
    ["little", [0, 0, 0, 1], 1],
  ])("sends no further ahead than its other end lets, which said %s", async (_, said, window) => {
    let sent = 0;
    const pipe: Pipe = {
      send: (message) => void (sent += message.length),
      ...{ close: () => {}, onMessage: () => {}, onClose: () => {} },
    };
    const key = new Uint8Array(32);
    const one = new SecureChannel(pipe, { rx: key, tx: key }, parseChannelHeader, undefined, Uint8Array.from(said));
    for (let i = 0; i < 6; i++) void one.send(...part());
    expect(sent).toBeGreaterThanOrEqual(window);
    expect(sent).toBeLessThan(window + PACKET + CHANNEL_WINDOW_BYTES / 1_000);
  });

  it("hands on messages one after the other, in their order", async () => {
    const { ours, theirs } = await channels();
    const log: string[] = [];
    theirs.onMessage(async (header) => {
      const id = header.t === "open" ? header.id : 0;
      log.push(`${id} begins`);
      await settled();
      log.push(`${id} ends`);
    });
    for (const id of [1, 2, 3]) void ours.send({ t: "open", id, port: 1 });
    while (log.length < 6) await settled();
    expect(log).toEqual([1, 2, 3].flatMap((id) => [`${id} begins`, `${id} ends`]));
  });

  it("carries a list of files that is many windows long, a window at a time", async () => {
    const { ours, theirs, there } = await channels();
    const FILES = 20_000;
    const tree = Array.from({ length: FILES }, (_, i) => ({ path: `out/${String(i).padStart(200, "x")}`, kind: "directory" as const }));
    const envelope = { payloadType: "x", payload: "x", signatures: [{ keyid: PO, sig: "x".repeat(88) }] } as never;
    let most = 0;
    let at = there.passed;
    const got = new Promise<ChannelHeader>((resolve, reject) => {
      theirs.onMessage((header) => resolve(header));
      theirs.onClose((why) => reject(new Error(why)));
    });
    ours.onUsed(() => {
      most = Math.max(most, there.passed - at);
      at = there.passed;
    });
    void ours.send({ t: "ended", result: envelope, tree, stdoutSize: 0, stderrSize: 0 });
    const header = await got;
    expect(header.t === "ended" && header.tree.length).toBe(FILES);
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(CHANNEL_WINDOW_BYTES + PACKET);
  });

  it("cuts who takes nothing while more and more is said to it, and says so to who sends", async () => {
    const { ours, theirs } = await channels();
    theirs.onMessage(() => new Promise<void>(() => {}));
    const why = new Promise<string>((resolve) => ours.onClose(resolve));
    let open = true;
    void why.then(() => (open = false));
    let said = 0;
    for (; open && said < 100; said++) {
      void ours.send(...part());
      await settled();
    }
    expect(said).toBeLessThan(20);
    expect(await why).toBe("the other side does not take what it is sent");
    // whoever still waits is not left waiting
    await ours.send(...part());
  });

  it("cuts who sends over the window, and nobody at it", async () => {
    const { theirs, say, closed } = await rude();
    theirs.onMessage(() => new Promise<void>(() => {}));
    const packet = concatBytes(new Uint8Array([1]), new Uint8Array(60_000));
    const fits = Math.floor(CHANNEL_WINDOW_BYTES / 60_000) + 1;
    // a message that is begun and not ended, up to where it is taken up; then whole ones, which wait for their turn
    for (let i = 0; i < 4; i++) say(packet);
    say(concatBytes(new Uint8Array([0]), new Uint8Array(10)));
    for (let i = 5; i < fits; i++) say(concatBytes(new Uint8Array([0]), new Uint8Array(60_000)));
    expect(closed.why).toBeNull();
    for (let i = 0; i < 3; i++) say(concatBytes(new Uint8Array([0]), new Uint8Array(60_000)));
    expect(closed.why).toBe("more was sent than was asked for");
  });

  it.each([
    ["more than it was sent", [2, 0, 1, 0, 0]],
    ["nothing", [2, 0, 0, 0, 0]],
    ["a number that is none", [2, 1]],
  ])("cuts who says that it used %s", async (_, packet) => {
    const { say, closed } = await rude();
    say(Uint8Array.from(packet));
    expect(closed.why).toBe("more was used than was sent");
  });

  it("counts what waits in it, and gives it back", async () => {
    const share = new MemoryShare(64 * 1024 * 1024);
    const { ours, theirs } = await channels(share);
    let use = (): void => {};
    theirs.onMessage(() => new Promise<void>((used) => void (use = used)));
    void ours.send(...part());
    await settled();
    expect(share.used).toBeGreaterThanOrEqual(PART_BYTES_MAX);
    use();
    await settled();
    expect(share.used).toBe(0);
    ours.onMessage(() => new Promise<void>(() => {}));
    for (let i = 0; i < 8; i++) void theirs.send(...part());
    await settled();
    expect(share.used).toBeGreaterThanOrEqual(3 * PART_BYTES_MAX);
    theirs.close();
    expect(share.used).toBe(0);
  });

  it("is cut where there is no room for what waits in it", async () => {
    const { ours, theirs, closed } = await channels(new MemoryShare(100_000));
    theirs.onMessage(() => {});
    void ours.send(...part());
    await settled();
    expect(closed.why).toContain("no room");
  });
});

describe("work that takes a while", () => {
  it("is done in order, and is waited for only where much of it waits", async () => {
    const turns = new Turns(3);
    const gates: (() => void)[] = [];
    const work = () => new Promise<void>((done) => void gates.push(done));
    const added = { count: 0 };
    for (let i = 0; i < 5; i++) void turns.add(work).then(() => added.count++);
    await settled();
    expect([added.count, gates.length]).toEqual([2, 1]);
    for (let i = 0; i < 5; i++) {
      gates[i]?.();
      await settled();
    }
    expect([added.count, gates.length]).toEqual([5, 5]);
  });
});

describe("a tunnel", () => {
  it("reads no more of its stream than the channel hands over and the other side has used", async () => {
    let produced = 0;
    const stream = new Duplex({
      read() {
        produced += 60_000;
        this.push(new Uint8Array(60_000));
      },
      write: (_chunk, _encoding, written) => written(),
    });
    const handed: (() => void)[] = [];
    const send = (): Promise<void> => new Promise((done) => void handed.push(done));
    const tunnel = new Tunnel(stream, { id: 1, hasHalves: true, send, closed: () => {} });
    await settled();
    const first = produced;
    await settled();
    expect([produced, handed.length]).toEqual([first, 1]);
    for (let i = 0; i < 100 && handed.length > 0; i++) {
      handed.shift()?.();
      await settled();
    }
    // the channel takes all; the other side has used nothing
    expect(produced).toBeLessThan(1024 * 1024);
    const stopped = produced;
    tunnel.taken(500_000);
    await settled();
    expect(produced).toBeGreaterThan(stopped);
    tunnel.drop();
  });

  /** A stream that takes nothing until it is told to, and how often it was written to. */
  function stuck(): { stream: Duplex; writes: string[]; goOn(): void } {
    const writes: string[] = [];
    let next: (() => void) | null = null;
    const write = (bytes: Uint8Array, _: string, done: () => void): void => {
      writes.push(Buffer.from(bytes).toString());
      next = done;
    };
    const stream = new Duplex({ read() {}, write });
    return { stream, writes, goOn: () => next?.() };
  }
  const heard = (stream: Duplex, hasHalves = true) => {
    const said: [ChannelHeader["t"], string | number][] = [];
    const send = async (header: ChannelHeader): Promise<void> => {
      said.push([header.t, header.t === "shut" ? header.why : header.t === "taken" ? header.bytes : ""]);
    };
    return { said, tunnel: new Tunnel(stream, { id: 1, hasHalves, send, closed: () => {} }) };
  };

  it("holds what the stream does not take as few pieces, however many messages it came in, and all of it comes", async () => {
    const { stream, writes, goOn } = stuck();
    const { tunnel, said } = heard(stream);
    for (let i = 0; i < 40_000; i++) tunnel.receive(Buffer.from(String(i % 10)));
    tunnel.receive(new Uint8Array(0));
    for (let i = 0; i < 10; i++) {
      goOn();
      await settled();
    }
    expect(writes.length).toBe(4); // the first one, and 16 KiB at a time
    expect(writes.join("")).toBe("0123456789".repeat(4_000));
    expect(said.reduce((sum, [t, bytes]) => sum + (t === "taken" ? Number(bytes) : 0), 0)).toBe(40_000);
    expect(stream.writableFinished).toBe(true);
    tunnel.drop();
  });

  it.each<[string, boolean, number]>([
    ["says its end again and again", true, 2],
    ["says an end where a stream has none", false, 1],
  ])("is shut where the other side %s", (_, hasHalves, times) => {
    const { tunnel, said } = heard(stuck().stream, hasHalves);
    for (let i = 0; i < times; i++) tunnel.receive(new Uint8Array(0));
    expect(said.map(([t]) => t)).toEqual(["shut"]);
    // what comes after it is not even read
    tunnel.receive(new Uint8Array(1));
    expect(said).toHaveLength(1);
  });

  it.each([
    [true, ["shut", "the connection was reset"]],
    [false, ["data", ""]],
  ] as const)("says of an end whether it was one: broken off %s", async (isBrokenOff, said) => {
    const { stream } = stuck();
    const { said: all } = heard(Object.assign(stream, { wasBrokenOff: async () => isBrokenOff }));
    stream.resume().push(null);
    await settled();
    expect(all).toEqual([said]);
    stream.destroy();
  });

  it.each<[string, boolean, (tunnel: Tunnel) => void, string[]]>([
    ["is shut with a reason", true, (tunnel) => tunnel.shut("because"), ["because"]],
    ["loses its link", true, (tunnel) => tunnel.drop(), ["the link went down"]],
    ["loses its link after an end", true, (tunnel) => (tunnel.shut(), tunnel.drop()), []],
    ["is shut", true, (tunnel) => tunnel.shut(), []],
  ])("breaks a connection off where it %s", (_, hasHalves, act, why) => {
    const brokenOff: string[] = [];
    const { stream } = stuck();
    act(heard(Object.assign(stream, { breakOff: (error: Error) => void brokenOff.push(error.message) }), hasHalves).tunnel);
    expect(brokenOff).toEqual(why);
    stream.destroy();
  });

  /** A program of this machine, and one of the guest's that answers once it has heard all: `answer` to what it heard. */
  async function joined(answer: (heard: string, socket: Socket) => void) {
    const tunnels: Tunnel[] = [];
    const closed = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const said: ChannelHeader["t"][] = [];
    const join = (own: number, stream: Socket): void => {
      const send = async (header: ChannelHeader, bytes: Uint8Array = new Uint8Array(0)): Promise<void> => {
        await Promise.resolve(); // as a channel, it says nothing while it is told something
        said.push(header.t);
        const other = tunnels[1 - own]!;
        if (header.t === "data") other.receive(bytes.slice());
        else if (header.t === "taken") other.taken(header.bytes);
        else if (header.t === "shut") other.shut(header.why);
      };
      tunnels[own] = new Tunnel(stream, { id: 1, hasHalves: true, send, closed: () => closed[own]!.resolve() });
    };
    const guest = createServer({ allowHalfOpen: true }, (socket) => {
      let heard = "";
      socket.on("data", (bytes) => (heard += String(bytes))).on("error", () => {});
      socket.once("end", () => answer(heard, socket));
    });
    const here = createServer({ allowHalfOpen: true }, (socket) => {
      join(0, socket);
      join(1, connect({ port: (guest.address() as AddressInfo).port, host: "127.0.0.1", allowHalfOpen: true }));
    });
    for (const server of [guest, here]) await once(server.listen(0, "127.0.0.1"), "listening");
    const program = connect({ port: (here.address() as AddressInfo).port, host: "127.0.0.1", allowHalfOpen: true });
    const close = (): void => {
      for (const tunnel of tunnels) tunnel.drop();
      for (const server of [guest, here]) server.close();
      program.destroy();
    };
    return { program, said, close, closed: Promise.all(closed.map(({ promise }) => promise)) };
  }

  it("hands over the answer to a program that has said all and shut its side (kubernetes 74551, moby 27539)", async () => {
    const { program, closed, close } = await joined((heard, socket) => socket.end(`${heard.length} bytes, ${"x".repeat(300_000)}.`));
    program.end("y".repeat(200_000));
    const answer = await text(program);
    expect([answer.slice(0, 13), answer.length, answer.at(-1)]).toEqual(["200000 bytes,", 300_015, "."]);
    await closed;
    close();
  });

  it("is over with a program that was cut off, whatever the guest keeps open, and is said to be shut once", async () => {
    const { program, said, closed, close } = await joined(() => {});
    program.write("to a server that never shuts its side");
    await once(program, "connect");
    program.resetAndDestroy();
    await closed;
    expect(said.filter((t) => t === "shut")).toHaveLength(1);
    close();
  });
});
