import { expect, it } from "vitest";
import { nodeCrypto } from "../node-crypto.ts";
import { CLOSINGS } from "./closing.ts";
import { LinkClient, type FromBroker, type MeasuredClock, type Pipe, type Timers, type ToBroker } from "./link-client.ts";

const BEAT = { everyMs: 100, missedMax: 3 };
const MARKET = {
  ...{ origin: "o", currency: "c", keys: { purchaseOrders: "", checkpoints: "", receipts: "" }, operatorKey: "", feeBasisPoints: 0 },
  ...{ announcedFee: null, referees: [], witnesses: [], mergeDelayMs: 1, protocol: { min: 1, max: 1 }, now: 0 },
};

/** A link to a broker that a test plays; time passes when the test says so, and the wall clock may be set. */
class Played {
  wall = 1_800_000_000_000;
  readonly #waiting = new Set<{ ms: number; action: () => void }>();
  readonly timers: Timers = {
    now: () => this.wall,
    random: () => 0.5,
    after: (ms, action) => {
      const waiting = { ms, action };
      this.#waiting.add(waiting);
      return () => void this.#waiting.delete(waiting);
    },
  };
  readonly said: ToBroker[] = [];
  readonly downs: string[] = [];
  readonly clocks: (MeasuredClock | null)[] = [];
  connected = 0;
  dropped = 0;
  #deliver: (message: string) => void = () => {};
  #end: (why?: string) => void = () => {};
  readonly client = new LinkClient({
    timers: this.timers,
    crypto: nodeCrypto,
    connect: async () => {
      this.connected++;
      // a pipe whose other end hangs does not end when it is closed
      const pipe: Pipe = {
        send: (message) => void this.said.push(JSON.parse(String(message)) as ToBroker),
        close: () => {},
        drop: () => void this.dropped++,
        onMessage: (handler) => (this.#deliver = handler),
        onClose: (handler) => (this.#end = handler),
      };
      return pipe;
    },
    login: () => ({ payloadType: "t", payload: "", signatures: [{ keyid: "", sig: "" }] }),
    onUp: (_live, _market, clock) => void this.clocks.push(clock),
    onDown: (why) => void this.downs.push(why),
  });

  hears(message: FromBroker): void {
    this.#deliver(JSON.stringify(message));
  }

  ends(why: string): void {
    this.#end(why);
  }

  /** Everything that waits for so long is due. */
  async pass(ms: number): Promise<void> {
    for (const waiting of this.#waiting)
      if (waiting.ms === ms) {
        this.#waiting.delete(waiting);
        this.wall += ms;
        waiting.action();
        break;
      }
    await new Promise(setImmediate);
  }

  async up(clock: MeasuredClock | null): Promise<void> {
    const key = "ab".repeat(32);
    const keys = { purchaseOrders: key, checkpoints: key, receipts: key };
    const timings = {
      acceptWithinMs: 1,
      startWithinMs: 1,
      claimIntervalMs: 1,
      graceMs: 1,
      deliverWithinMs: 1,
      disputeWindowMs: 1,
      ruleWithinMs: 1,
    };
    const market = { ...MARKET, keys, operatorKey: key, log: { epoch: "ab".repeat(16), size: 0, root: key }, timings };
    this.hears({ t: "challenge", challenge: key, market, beat: BEAT });
    expect(this.said.at(-1)).toMatchObject({ t: "hello", clock: this.wall });
    this.hears({ t: "welcome", party: `p_${"0".repeat(40)}`, live: { grants: [], filed: [] }, clock });
    expect(this.client.up).toBe(true);
    await new Promise(setImmediate);
  }
}

async function started(clock: MeasuredClock | null = null): Promise<Played> {
  const played = new Played();
  played.client.start();
  await new Promise(setImmediate);
  await played.up(clock);
  return played;
}

it("beats as the broker says, and takes a broker that hangs for gone at once, though its pipe never ends", async () => {
  const link = await started();
  for (let i = 0; i < BEAT.missedMax; i++) await link.pass(BEAT.everyMs);
  expect(link.said.filter(({ t }) => t === "ping")).toHaveLength(BEAT.missedMax);
  link.hears({ t: "pong", now: link.wall });
  for (let i = 0; i < BEAT.missedMax; i++) await link.pass(BEAT.everyMs);
  expect([link.client.up, link.downs]).toEqual([true, []]);
  // whatever the clock says meanwhile
  link.wall -= 7_200_000;
  await link.pass(BEAT.everyMs);
  expect([link.client.up, link.dropped, link.downs]).toEqual([false, 1, ["nothing was heard from the broker in 3 beats of 100 ms"]]);
  await link.pass(200);
  expect(link.connected).toBe(2);
  await link.up(null);
});

it("tells why the other end went, in its words", async () => {
  const link = await started();
  link.ends("it hung");
  expect(link.downs).toEqual(["it hung"]);
});

it("leaves the link to whoever took it with the same key for as long as it ever waits, and closes in few enough bytes", async () => {
  const link = await started();
  link.ends(CLOSINGS.replaced.says);
  await link.pass(200);
  expect(link.connected).toBe(1);
  await link.pass(15_000);
  expect(link.connected).toBe(2);
  // a reason is a control frame's (RFC 6455 section 5.5)
  for (const { says } of Object.values(CLOSINGS)) expect(Buffer.byteLength(says)).toBeLessThanOrEqual(123);
});

it("logs in again when its clock was set, so that the broker measures it anew; not for a slow answer or a clock that goes on", async () => {
  const AHEAD = 7_200_000;
  const link = await started({ offsetMs: AHEAD, errorMs: 5, allowedMs: 2_500 });
  expect(link.clocks).toEqual([{ offsetMs: AHEAD, errorMs: 5, allowedMs: 2_500 }]);
  await link.pass(BEAT.everyMs);
  link.wall += 9_000;
  link.hears({ t: "pong", now: link.wall - AHEAD - 8_900 });
  await link.pass(BEAT.everyMs);
  link.hears({ t: "pong", now: link.wall - AHEAD - 700 });
  expect([link.client.up, link.downs]).toEqual([true, []]);
  await link.pass(BEAT.everyMs);
  link.wall -= AHEAD;
  await link.pass(BEAT.everyMs);
  link.hears({ t: "pong", now: link.wall });
  expect([link.client.up, link.downs]).toEqual([false, ["this machine's clock was set"]]);
});
