/** What a channel is shown of a lease that has ended: all of the output before how it ended. */
import { PassThrough } from "node:stream";
import { toHex, utf8 } from "@xenoservers/protocol";
import { SHELL_FULL, initiateChannel, type Channel, type ChannelHeader } from "@xenoservers/protocol/channel";
import type { Pipe } from "@xenoservers/protocol/link";
import { bytesBlob, buildJob } from "@xenoservers/sdk";
import { Network, PaperMarket, Random, SimClock } from "@xenoservers/testkit";
import { expect, it } from "vitest";
import { Attachments, CHANNELS_MAX, type AttachmentsHost } from "./attachments.ts";

const job = buildJob({
  ...{ module: bytesBlob(utf8("module")), args: [], env: [], mounts: [], stdin: bytesBlob(utf8("")), engine: "paper-1" },
  ...{ memoryMibMax: 64, diskMibMax: 64, outputMibMax: 1, fuelMax: 10n ** 12n },
});

it("says how it ended after all that it wrote, also where it is attached to while it is looked what that is", async () => {
  const random = new Random(9);
  const clock = new SimClock(1_800_000_000_000, random);
  const market = new PaperMarket(random, clock.now());
  const [customer, server] = [market.server(market.party("carl")), market.server(market.party("olga"))];
  const [near, far] = new Network(clock, random).pair("customer");
  const result = market.result(server, "ab".repeat(32), market.order(market.party("carol")), {});
  const written = { stdout: utf8("out"), stderr: utf8("err") };
  const reading = Promise.withResolvers<void>();
  let asked = 0;
  let isAttached = false;
  const guest = {
    async readStream(stream: "stdout" | "stderr", from: number) {
      // the job alone has come by then
      if (stream === "stdout" && asked++ === 0) await reading.promise;
      return written[stream].subarray(from);
    },
  };
  const host = {
    ...{ lease: "ab".repeat(32), channelKey: server.channelKey, customerKey: toHex(customer.channelKey.publicKey) },
    ...{ guest: () => guest, state: () => ({ state: "ended", usedMs: 0 }), isShown: () => true, standsStill: () => null },
    result: () => ({ envelope: result.envelope, tree: [], stdoutSize: 3, stderrSize: 3 }),
    takeJob: async () => null,
    progress() {},
    requests: { guest: () => ((isAttached = true), guest) },
  } as unknown as AttachmentsHost;
  const attachments = new Attachments(host);
  attachments.attach(far);
  const got: ChannelHeader[] = [];
  const opened = initiateChannel(near, customer.channelKey, toHex(server.channelKey.publicKey), host.lease);
  const until = (condition: () => boolean): Promise<void> => clock.runUntil(clock.now() + 60_000, condition);
  void opened.then((channel) => {
    channel.onMessage((header) => void got.push(header));
    void channel.send(job.message);
    return channel;
  });
  await until(() => asked > 0);
  void (await opened).send({ t: "attach", stdout: 0, stderr: 0 });
  await until(() => isAttached);
  reading.resolve();
  await until(() => got.some(({ t }) => t === "shown"));
  const kinds = got.map((header) => (header.t === "output" ? header.stream : header.t));
  expect(kinds.slice(-4)).toEqual(["stdout", "stderr", "ended", "shown"]);
  expect(kinds.indexOf("ended")).toBe(kinds.length - 2);
  attachments.close();
});

it("counts no channel that closed while it was answered", async () => {
  const random = new Random(11);
  const clock = new SimClock(1_800_000_000_000, random);
  const market = new PaperMarket(random, clock.now());
  const [customer, server] = [market.server(market.party("carl")), market.server(market.party("olga"))];
  const lease = "ab".repeat(32);
  const host = {
    ...{ lease, channelKey: server.channelKey, customerKey: toHex(customer.channelKey.publicKey) },
    ...{ state: () => ({ state: "waiting", usedMs: 0 }), standsStill: () => null, progress() {} },
    requests: { guest: () => null },
  } as unknown as AttachmentsHost;
  const attachments = new Attachments(host);
  let hello!: string | Uint8Array;
  const near: Pipe = { send: (message) => void (hello = message), close() {}, onMessage() {}, onClose() {} };
  void initiateChannel(near, customer.channelKey, toHex(server.channelKey.publicKey), lease);
  // both say so to whoever listens later
  attachments.attach({ ...near, onMessage: (handler) => handler(hello), onClose: (handler) => handler() });
  expect(attachments.count).toBe(0);
});

/** Channels of one lease, whose guest's shell is as given. */
function channels(shell: () => Promise<PassThrough>, sleep: (ms: number) => Promise<void>, isPaused: () => boolean = () => false) {
  const random = new Random(10);
  const clock = new SimClock(1_800_000_000_000, random);
  const market = new PaperMarket(random, clock.now());
  const [customer, server] = [market.server(market.party("carl")), market.server(market.party("olga"))];
  const network = new Network(clock, random);
  const lease = "ab".repeat(32);
  const host = {
    ...{ lease, channelKey: server.channelKey, customerKey: toHex(customer.channelKey.publicKey) },
    ...{ state: () => ({ state: "running", usedMs: 0 }), standsStill: () => null, isShown: () => false, progress() {} },
    requests: {
      ...{ capabilities: { console: true }, guest: () => ({ controls: { shell } }), begun: () => null, isPaused, sleep },
    },
  } as unknown as AttachmentsHost;
  const attachments = new Attachments(host);
  const until = (condition: () => boolean): Promise<void> => clock.runUntil(clock.now() + 60_000, condition);
  const closed = new Set<number>();
  const attach = async (number: number): Promise<Channel> => {
    const [near, far] = network.pair(`customer ${number}`);
    attachments.attach(far);
    const opened = initiateChannel(near, customer.channelKey, toHex(server.channelKey.publicKey), lease);
    let channel: Channel | null = null;
    void opened.then((each) => (channel = each));
    await until(() => channel !== null);
    (await opened).onClose(() => void closed.add(number));
    return opened;
  };
  return { attachments, attach, closed, until };
}

it("cuts nobody's program for another: who only looks on makes room, and where all have one whoever comes waits", async () => {
  const programs: PassThrough[] = [];
  const shell = async (): Promise<PassThrough> => {
    const program = new PassThrough();
    programs.push(program);
    return program;
  };
  const { attachments, attach, closed, until } = channels(shell, async () => {});
  const busy: Channel[] = [];
  for (let number = 1; number < CHANNELS_MAX; number++) {
    busy.push(await attach(number));
    void busy.at(-1)?.send({ t: "shell", id: 1 });
  }
  await attach(100);
  await until(() => programs.length === CHANNELS_MAX - 1 && attachments.count === CHANNELS_MAX);
  expect([...closed]).toEqual([]);
  const late = await attach(101);
  await until(() => closed.has(100));
  void late.send({ t: "shell", id: 1 });
  await until(() => programs.length === CHANNELS_MAX);
  await attach(102);
  await until(() => closed.has(102));
  expect([...closed]).toEqual([100, 102]);
  programs[4]?.end();
  void busy[4]?.send({ t: "shut", id: 1, why: "" });
  await until(() => programs[4]?.closed === true);
  await attach(103);
  await until(() => closed.has(5));
  expect([...closed]).toEqual([100, 102, 5]);
  attachments.close();
});

it("takes no channel from who is about to ask again for a place in the guest, but from who was just told that there is none", async () => {
  const sleeping: { ms: number; wake(): void }[] = [];
  const sleep = (ms: number): Promise<void> => new Promise((wake) => void sleeping.push({ ms, wake }));
  const { attachments, attach, closed, until } = channels(() => Promise.reject(new Error(`at most 4: ${SHELL_FULL}`)), sleep);
  for (let number = 1; number <= CHANNELS_MAX; number++) {
    const channel = await attach(number);
    void channel.send({ t: "shell", id: 1 });
    await until(() => sleeping.length === number);
  }
  // who asks again does so later than that
  await attach(100);
  await until(() => closed.size > 0);
  expect([...closed]).toEqual([CHANNELS_MAX]);
  for (const each of sleeping.splice(0)) each.wake();
  await until(() => sleeping.length === CHANNELS_MAX);
  // the newest has not asked: it goes as who only looks on
  await attach(101);
  await until(() => closed.has(100));
  // long after, they are as any that look on
  for (const each of sleeping.splice(0)) each.wake();
  await until(() => attachments.count === CHANNELS_MAX);
  await attach(102);
  await until(() => closed.has(1));
  attachments.close();
});

it("says of a machine that its customer has paused that it stands still, to whoever looks on and whoever comes later, until it goes on", async () => {
  let isPaused = false;
  const { attachments, attach, until } = channels(
    async () => new PassThrough(),
    async () => {},
    () => isPaused,
  );
  const told: string[][] = [];
  const listen = async (number: number): Promise<void> => {
    const states: string[] = [];
    told.push(states);
    (await attach(number)).onMessage((header) => void (header.t === "state" && states.push(header.state)));
  };
  await listen(1);
  await until(() => told[0]?.length === 1);
  isPaused = true;
  attachments.sayStates();
  await until(() => told[0]?.length === 3);
  await listen(2);
  await until(() => told[1]?.length === 2);
  isPaused = false;
  attachments.sayStates();
  await until(() => told.every((states) => states.at(-1) === "running"));
  expect(told).toEqual([
    ["running", "running", "paused", "running"],
    ["running", "paused", "running"],
  ]);
  attachments.close();
});
