import { describe, expect, it } from "vitest";
import { toHex } from "../bytes.ts";
import type { Pipe } from "../link/pipe.ts";
import { channelKeyPair, initiateChannel, respondChannel, type Channel } from "./channel.ts";

function pipes(tamper: (m: Uint8Array) => Uint8Array = (m) => m): [Pipe, Pipe, Uint8Array[]] {
  const seen: Uint8Array[] = [];
  const make = () => ({ message: (_: string | Uint8Array) => {}, close: () => {} });
  const a = make();
  const b = make();
  const end = (own: ReturnType<typeof make>, other: ReturnType<typeof make>): Pipe => ({
    send: (m) => {
      seen.push(m as Uint8Array);
      const t = tamper(m as Uint8Array);
      queueMicrotask(() => other.message(t));
    },
    close: () => {
      own.close();
      other.close();
    },
    onMessage: (h) => void (own.message = h),
    onClose: (h) => void (own.close = h),
  });
  return [end(a, b), end(b, a), seen];
}
const po = "ab".repeat(32);

describe("channel", () => {
  const customer = channelKeyPair();
  const server = channelKeyPair();
  const connect = (p: [Pipe, Pipe, Uint8Array[]], expected = customer.publicKey, prologue = po) =>
    new Promise<[Channel, Channel]>((resolve, reject) => {
      let theirs: Channel;
      respondChannel(p[1], server, toHex(expected), prologue, (channel) => (theirs = channel));
      initiateChannel(p[0], customer, toHex(server.publicKey), po).then((ours) => resolve([ours, theirs]), reject);
    });

  it("carries large bodies and hides them from whoever is between", async () => {
    const p = pipes();
    const [ours, theirs] = await connect(p);
    const body = new Uint8Array(300_000).fill(65);
    const got = new Promise<[unknown, Uint8Array]>((resolve) => theirs.onMessage((header, bytes) => resolve([header, bytes])));
    void ours.send({ t: "part", digest: po, offset: 7 }, body);
    const [header, bytes] = await got;
    expect(header).toEqual({ t: "part", digest: po, offset: 7 });
    expect(Buffer.from(bytes).equals(Buffer.from(body))).toBe(true);
    expect(p[2].every((m) => !Buffer.from(m).includes(Buffer.alloc(32, 65)))).toBe(true);
  });

  it("refuses another customer's key and another lease's channel", async () => {
    await expect(connect(pipes(), server.publicKey)).rejects.toThrow();
    await expect(connect(pipes(), customer.publicKey, "cd".repeat(32))).rejects.toThrow();
  });

  it("closes on a changed byte and on an unknown header", async () => {
    let change = false;
    const [ours, theirs] = await connect(pipes((m) => (change ? m.map((b, i) => (i === 5 ? b ^ 1 : b)) : m)));
    const closed = new Promise((resolve) => theirs.onClose(resolve));
    change = true;
    void ours.send({ t: "attach", stdout: 0, stderr: 0 });
    expect(await closed).toContain("does not decrypt");
    const [a, b] = await connect(pipes());
    const refused = new Promise((resolve) => b.onClose(resolve));
    b.onMessage(() => {});
    void a.send({ t: "nonsense" } as never);
    expect(await refused).toContain("unknown header");
  });

  /** A link hands on all that came in one packet before whoever waits for a promise goes on. */
  async function answeredWith(messages: number, says: (theirs: Channel) => void): Promise<[Channel, Channel]> {
    const [near, far] = pipes();
    const came: (string | Uint8Array)[] = [];
    let theirs!: Channel;
    let hear: (message: string | Uint8Array) => void;
    near.onMessage((message) => void came.push(message));
    respondChannel(far, server, toHex(customer.publicKey), po, (channel) => says((theirs = channel)));
    const opening = initiateChannel({ ...near, onMessage: (handler) => (hear = handler) }, customer, toHex(server.publicKey), po);
    while (came.length < messages) await new Promise((resolve) => setImmediate(resolve));
    for (const message of came) hear!(message);
    if (messages === 1) theirs.close();
    return [await opening.finally(() => {}), theirs];
  }

  it("hands on what came with the answer to whoever listens after that", async () => {
    const [ours] = await answeredWith(3, (theirs) => {
      for (const usedMs of [1, 2]) void theirs.send({ t: "state", state: "running", usedMs });
    });
    const got: unknown[] = [];
    await new Promise<void>((resolve) => ours.onMessage((header) => void (got.push(header) === 2 && resolve())));
    expect(got).toEqual([1, 2].map((usedMs) => ({ t: "state", state: "running", usedMs })));
  });

  it("says that it was closed with the answer to whoever asks after that", async () => {
    for (const channel of await answeredWith(1, () => {}))
      expect(await new Promise((resolve) => channel.onClose(resolve))).toBe("the link went down");
  });
});
