/** What a customer sends to the program of its guest, and hears of how much that has read. */
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { Duplex, type DuplexOptions } from "node:stream";
import { SHELL_FULL, type Channel, type ChannelHeader } from "@xenoservers/protocol/channel";
import { describe, expect, it } from "vitest";
import type { GuestControls, GuestInput, RunningGuest } from "../drivers/driver.ts";
import { TUNNELS_MAX, TunnelRoom } from "./tunnel-room.ts";
import { VmRequests } from "./vm-requests.ts";

/** Takes each message only when it is told to. */
function channelOf(): { channel: Channel; sent: ChannelHeader[]; take(): Promise<void> } {
  const sent: ChannelHeader[] = [];
  const waiting: (() => void)[] = [];
  const channel = {
    send(header: ChannelHeader) {
      sent.push(header);
      return new Promise<void>((resolve) => waiting.push(resolve));
    },
  };
  const take = async (): Promise<void> => {
    waiting.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { channel: channel as unknown as Channel, sent, take };
}

function requestsOf(
  channel: Channel,
  controls: Partial<GuestControls> | null,
  { isPaused = false, room = new TunnelRoom(), sleep = async (_ms: number): Promise<void> => {}, needHere = (): void => {} } = {},
): VmRequests {
  const host = {
    capabilities: { console: true, snapshots: true },
    begun: () => null,
    isPaused: () => isPaused,
    needHere,
    guest: () => (controls ? ({ controls } as RunningGuest) : null),
    pause: async () => {},
    resume: async () => {},
    sleep,
  };
  return new VmRequests(channel, host, room);
}

const BYTES = Buffer.from("abc");
const stdin = { t: "stdin", offset: 7, last: true } as const;

describe("what a customer sends to its guest's program", () => {
  it("is passed on as it came, and what is wrong with it is said in words", async () => {
    const came: unknown[] = [];
    const input = { receive: async (...words: unknown[]) => (came.push(words), came.length > 1 ? "out of its order" : null) };
    const { channel, sent } = channelOf();
    const requests = requestsOf(channel, { stdin: input as unknown as GuestInput });
    await requests.receive(stdin, BYTES);
    expect([came, sent]).toEqual([[[7, BYTES, true]], []]);
    void requests.receive(stdin, BYTES);
    await new Promise((resolve) => setImmediate(resolve));
    expect(sent).toEqual([{ t: "problem", code: "bad_request", why: "out of its order" }]);
  });

  it("is refused where nothing reads it, and of no use where its guest has just ended", async () => {
    const { channel, sent } = channelOf();
    void requestsOf(channel, { stdin: null }).receive(stdin, BYTES);
    expect(sent).toEqual([{ t: "problem", code: "bad_request", why: "what runs in this lease reads no input of yours" }]);
    await requestsOf(channel, null).receive(stdin, BYTES);
    await requestsOf(channel, null).receive({ t: "resize", window: { rows: 1, columns: 1 } }, BYTES);
    expect(sent).toHaveLength(1);
  });
});

describe("how much its program has read", () => {
  it("is said in one word at a time, however often it changes, and the last of it is said", async () => {
    let taken: number | null = null;
    const { channel, sent, take } = channelOf();
    const requests = requestsOf(channel, {
      stdin: {
        onTaken() {},
        receive: async () => null,
        isTerminal: true,
        get taken() {
          return taken;
        },
      },
    });
    await requests.sayTaken();
    expect(sent).toEqual([]);
    for (taken = 0; taken < 1_000; taken++) void requests.sayTaken();
    expect(sent).toEqual([{ t: "stdin-taken", bytes: 0, isTerminal: true }]);
    await take();
    await take();
    expect(sent.slice(1)).toEqual([{ t: "stdin-taken", bytes: 1_000, isTerminal: true }]);
  });
});

/** Connections to a guest whose ports take what comes, and say and shut nothing. */
function connections(write: DuplexOptions["write"] = (_, __, done) => done()) {
  const streams: Duplex[] = [];
  const { channel, sent } = channelOf();
  const requests = requestsOf(channel, {
    async open() {
      streams.push(new Duplex({ read() {}, write }));
      return streams.at(-1) as never;
    },
  });
  return { requests, streams, sent };
}

describe("a machine that its customer has paused", () => {
  it("says so at once to whoever wants an answer of its programs, and shows its screen", async () => {
    const { channel, sent } = channelOf();
    const made = async () => new Duplex({ read() {}, write: (_, __, done) => done() });
    const requests = requestsOf(channel, { open: made as never, shell: made, screen: made }, { isPaused: true });
    await requests.receive({ t: "shell", id: 1 }, BYTES);
    await requests.receive({ t: "open", id: 2, port: 22 }, BYTES);
    await requests.receive({ t: "screen", id: 3 }, BYTES);
    await requests.receive({ t: "ask", id: 4, what: "agent" }, Buffer.from(JSON.stringify({ command: "guest-ping", arguments: {} })));
    await new Promise((resolve) => setImmediate(resolve));
    const why = expect.stringContaining("resume it first") as string;
    expect(sent).toEqual([
      { t: "shut", id: 1, why },
      { t: "shut", id: 2, why },
      { t: "answer", id: 4, ok: false },
    ]);
    requests.close();
  });
});

describe("a machine that is to go on at another server", () => {
  it("is not kept or started again where that would be of no consequence there, which is said", async () => {
    let isHere = false;
    const done: string[] = [];
    const needHere = (): void => {
      if (!isHere) throw new Error("the lease is being moved");
    };
    const { channel, sent } = channelOf();
    const controls = {
      reboot: async () => void done.push("reboot"),
      async snapshot(needStill: () => void) {
        isHere = false; // while others' are taken
        needStill();
      },
    };
    const requests = requestsOf(channel, controls as unknown as GuestControls, { needHere });
    const ask = async (id: number, what: "reboot" | "snapshot"): Promise<void> => {
      await requests.receive({ t: "ask", id, what }, BYTES);
      await new Promise((resolve) => setImmediate(resolve));
    };
    await ask(1, "reboot");
    await ask(2, "snapshot");
    isHere = true;
    await ask(3, "reboot");
    await ask(4, "snapshot");
    expect(done).toEqual(["reboot"]);
    expect(sent).toEqual([1, 2, 3, 4].map((id) => ({ t: "answer", id, ok: id === 3 })));
    requests.close();
  });
});

it("who asks for a place in a guest again and again has no more remembered of it than who waits", async () => {
  let sleeping = 0;
  const sleep = (): Promise<void> => new Promise(() => void sleeping++);
  const { channel, sent } = channelOf();
  const requests = requestsOf(channel, { shell: () => Promise.reject(new Error(`at most 4: ${SHELL_FULL}`)) }, { sleep });
  for (let id = 1; id <= 3_000; id++) await requests.receive({ t: "shell", id }, BYTES);
  await new Promise((resolve) => setImmediate(resolve));
  expect([sent.length, sleeping, requests.asksAgain]).toEqual([3_000, 1_000, true]);
  requests.close();
});

describe("a connection into a guest", () => {
  it.each([
    { t: "shell", id: 1 },
    { t: "screen", id: 1 },
    { t: "open", id: 1, port: 22 },
  ] as const)("is given up where its customer left while it was made: $t", async (header) => {
    const stream = new Duplex({ read() {}, write: (_, __, done) => done() });
    const made = Promise.withResolvers<Duplex>();
    const { channel, sent } = channelOf();
    const requests = requestsOf(channel, {
      open: () => made.promise as Promise<never>,
      shell: () => made.promise,
      screen: () => made.promise,
    });
    const joined = requests.receive(header, BYTES);
    requests.close();
    made.resolve(stream);
    await joined;
    expect([stream.destroyed, sent]).toEqual([true, []]);
  });

  it("counts until nothing is left of it, whoever has shut it: a guest that takes nothing makes no more of them", async () => {
    const { requests, streams, sent } = connections(() => {});
    for (let id = 1; id <= TUNNELS_MAX + 36; id++) {
      await requests.receive({ t: "open", id, port: 80 }, BYTES);
      await requests.receive({ t: "data", id }, BYTES);
      await requests.receive({ t: "shut", id, why: "" }, BYTES);
    }
    expect(streams).toHaveLength(TUNNELS_MAX);
    expect(sent.filter(({ t }) => t === "shut")).toHaveLength(36);
    requests.close();
    expect(streams.every(({ destroyed }) => destroyed)).toBe(true);
  });

  it("is counted for the whole lease: the end of one channel makes room for another's", async () => {
    const room = new TunnelRoom();
    for (let i = 1; i < TUNNELS_MAX; i++) room.take();
    const open = async () => new Duplex({ read() {}, write: (_, __, done) => done() });
    const [one, other] = [channelOf(), channelOf()];
    const [first, second] = [requestsOf(one.channel, { open }, { room }), requestsOf(other.channel, { open }, { room })];
    await first.receive({ t: "open", id: 1, port: 80 }, BYTES);
    await second.receive({ t: "open", id: 1, port: 80 }, BYTES);
    expect([one.sent, other.sent]).toEqual([[], [{ t: "shut", id: 1, why: `at most ${TUNNELS_MAX} connections at once` }]]);
    first.close();
    await second.receive({ t: "open", id: 2, port: 80 }, BYTES);
    expect(other.sent).toHaveLength(1);
    second.close();
    const failing = requestsOf(one.channel, { open: () => Promise.reject(new Error("refused")) }, { room });
    await failing.receive({ t: "open", id: 1, port: 80 }, BYTES);
    room.take();
    expect([room.isFull, failing.isInUse]).toEqual([true, false]);
  });

  it("makes room for another channel of its lease, too", async () => {
    const room = new TunnelRoom();
    for (let i = 1; i < TUNNELS_MAX; i++) room.take();
    const open = async () => new Duplex({ read() {}, write: (_, __, done) => done() });
    const [one, other] = [channelOf(), channelOf()];
    const [first, second] = [requestsOf(one.channel, { open }, { room }), requestsOf(other.channel, { open }, { room })];
    await first.receive({ t: "open", id: 1, port: 80 }, BYTES);
    await first.receive({ t: "data", id: 1 }, new Uint8Array(0));
    await second.receive({ t: "open", id: 1, port: 80 }, BYTES);
    expect(other.sent).toEqual([]);
    expect(one.sent).toEqual([{ t: "shut", id: 1, why: expect.stringContaining("another took its place") }]);
    second.close();
  });

  it("makes room where its customer has said all and its guest says nothing, the oldest first (kubernetes 18354)", async () => {
    const { requests, streams, sent } = connections();
    const open = (id: number): Promise<void> => requests.receive({ t: "open", id, port: 80 }, BYTES);
    for (let id = 1; id <= TUNNELS_MAX; id++) await open(id);
    for (const id of [7, 8]) await requests.receive({ t: "data", id }, new Uint8Array(0));
    for (const more of [1, 2, 3]) await open(TUNNELS_MAX + more);
    const shut = sent.flatMap((header) => (header.t === "shut" ? [header.id] : []));
    expect([streams.length, shut]).toEqual([TUNNELS_MAX + 2, [7, 8, TUNNELS_MAX + 3]]);
    expect([6, 7].map((at) => streams[at]?.destroyed)).toEqual([true, true]);
    requests.close();
  });

  it.each([
    ["which its customer's program has reset is reset in the guest", "read ECONNRESET", "ECONNRESET"],
    ["which its customer's program has ended is one that ended", "", "end"],
  ])("%s", async (_, why, came) => {
    const guest = createServer();
    await once(guest.listen(0, "127.0.0.1"), "listening");
    const taken = once(guest, "connection");
    const { channel } = channelOf();
    const requests = requestsOf(channel, {
      async open() {
        const socket = connect((guest.address() as AddressInfo).port, "127.0.0.1");
        await once(socket, "connect");
        return Object.assign(socket, { breakOff: () => void socket.resetAndDestroy(), wasBrokenOff: async () => false });
      },
    });
    await requests.receive({ t: "open", id: 1, port: 80 }, BYTES);
    const [socket] = (await taken) as [Socket];
    const heard = new Promise((resolve) => {
      socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code)).once("end", () => resolve("end"));
    });
    socket.resume();
    await requests.receive({ t: "shut", id: 1, why }, BYTES);
    expect(await heard).toBe(came);
    requests.close();
    socket.destroy();
    guest.close();
  });

  it("makes room when it has gone, and is made once by one name", async () => {
    const { requests, streams, sent } = connections();
    const open = { t: "open", id: 1, port: 80 } as const;
    for (let i = 0; i < 2; i++) await requests.receive(open, BYTES);
    expect([streams.length, sent.length]).toEqual([1, 1]);
    await requests.receive({ t: "shut", id: 1, why: "" }, BYTES);
    await once(streams[0]!, "close");
    await requests.receive(open, BYTES);
    expect(streams).toHaveLength(2);
    requests.close();
  });
});
