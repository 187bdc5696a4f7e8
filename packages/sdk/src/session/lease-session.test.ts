import { createHash } from "node:crypto";
import { PassThrough } from "node:stream";
import type { LeaseView, RouteReply, SignedDocument } from "@xenoservers/protocol";
import { parseDocumentOf, refuse } from "@xenoservers/protocol";
import { respondChannel, type Channel, type ChannelHeader, type InputEntry } from "@xenoservers/protocol/channel";
import type { Pipe } from "@xenoservers/protocol/link";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { filesOf, sealResult } from "@xenoservers/protocol/sealed";
import { canonicalBytes, toHex, utf8 } from "@xenoservers/protocol";
import { Network, PaperMarket, Random, SimClock, collected, type PaperServer } from "@xenoservers/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PaperClient } from "../../../../test/support/paper-client.ts";
import { until as really } from "../../../../test/until.ts";
import { buildJob, type BuiltJob } from "../job.ts";
import { placeOrder } from "../placing.ts";
import { BrokenPurchaseOrder, type BoundOrder } from "../purchase-order.ts";
import { bytesBlob } from "../blob.ts";
import { LeaseSession, type SessionHandlers } from "./lease-session.ts";

const SEED = new Uint8Array(32).fill(3);
const START = 1_800_000_000_000;
const shaOf = (text: string): string => createHash("sha256").update(text).digest("hex");

/** The server's end of one channel. */
interface ServerEnd {
  channel: Channel;
  got: { header: ChannelHeader; body: Uint8Array }[];
}

let clock: SimClock;
let network: Network;
let market: PaperMarket;
let server: PaperServer;
let client: PaperClient;
let bound: BoundOrder;
let job: BuiltJob;
let view: LeaseView;
let ends: ServerEnd[];
let states: string[];
let output: string;
let session: LeaseSession;
let linkUp: boolean;

/** Whether the server has its end of the lease's channels. */
let reachable: boolean;
/** It was killed as it got a channel: nothing is answered, and nothing ends. */
let silent: boolean;

const link = {
  get up(): boolean {
    return linkUp;
  },
  openChannel(): Pipe {
    const [near, far] = network.pair("customer");
    if (!reachable) clock.after(1, () => far.close());
    else if (!silent)
      respondChannel(far, server.channelKey, bound.order.payload.channelKey, bound.po.id, (channel) => {
        const end: ServerEnd = { channel, got: [] };
        ends.push(end);
        channel.onMessage((header, body) => void end.got.push({ header, body }));
      });
    return near;
  },
};

beforeEach(async () => {
  const random = new Random(9);
  clock = new SimClock(START, random);
  network = new Network(clock, random);
  market = new PaperMarket(random, START);
  const customer = market.party("carl", SEED);
  server = market.server(market.party("olga"));
  client = new PaperClient(market, clock, SEED);
  [ends, states, output, linkUp, reachable, silent] = [[], [], "", true, true, false];
  job = buildJob({
    ...{ module: bytesBlob(utf8("module")), args: ["x"], env: [], mounts: [], stdin: bytesBlob(utf8("")), engine: "paper-1" },
    ...{ memoryMibMax: 64, diskMibMax: 64, outputMibMax: 1, fuelMax: 10n ** 12n },
  });
  client.onSubmit = (document) => {
    if (document.kind !== "order") return { ok: true, answer: {} };
    const po = market.purchaseOrder(document as SignedDocument<"order">, server, market.offer(server));
    return { ok: true, answer: { purchaseOrder: po.envelope, grants: [...customer.grants, ...server.grants] } };
  };
  bound = await placeOrder(
    client,
    {
      ...{ resources: { vcpu: 1, memoryMib: 256, diskMib: 64 }, conditions: [], terms: "on-result", assurance: "isolated", on: "market" },
      ...{ maxPriceNanosPerHour: null, durationMsMax: 60_000, fuelMax: 10n ** 12n, budgetNanos: 10n ** 9n, label: "" },
    },
    job.jobHash,
  );
  view = market.view(bound.po);
  client.answers.lease = () => view;
});
afterEach(() => session.close());

function open(handlers: SessionHandlers = {}, of: BuiltJob | null = job): void {
  session = new LeaseSession(
    client,
    bound,
    of,
    { onOutput: (_, bytes) => void (output += Buffer.from(bytes).toString()), onState: (state) => void states.push(state), ...handlers },
    link,
  );
}
const until = (condition: () => boolean, ms = 3_600_000): Promise<void> => clock.runUntil(clock.now() + ms, condition);
const gone = (ms: number): Promise<void> => clock.runUntil(clock.now() + ms);
/** All that the server got on its last channel, by kind. */
const kinds = (): string[] => (ends.at(-1)?.got ?? []).map(({ header }) => header.t);
const attached = (): Promise<void> => until(() => kinds().includes("attach"));

const FILE = utf8("a file");
const TREE: InputEntry[] = [{ path: "out/f", kind: "file", digest: createHash("sha256").update(FILE).digest("hex"), size: FILE.length }];

/** The server prints, ends and shows this result. */
function finish(over: Parameters<PaperMarket["result"]>[3] = {}, tree: InputEntry[] = TREE, printed = "hello"): SignedDocument<"result"> {
  const digests = { stdoutDigest: shaOf("hello"), outputDigest: toHex(nodeCrypto.sha256(canonicalBytes(TREE))) };
  const result = market.result(server, bound.po.id, bound.order, { ...digests, ...over });
  const { channel } = ends.at(-1)!;
  channel.send({ t: "output", stream: "stdout", offset: 0 }, utf8(printed));
  channel.send({ t: "ended", result: result.envelope, tree, stdoutSize: printed.length, stderrSize: 0 });
  return result;
}
/** Answers what is asked for, with these bytes. */
async function serveFiles(bytes: Uint8Array): Promise<void> {
  await until(() => kinds().includes("want"));
  const { channel, got } = ends.at(-1)!;
  for (const { header } of got) if (header.t === "want") channel.send({ t: "part", digest: header.digest, offset: header.offset }, bytes);
}
const fetchAll: SessionHandlers["onResult"] = async (delivered, of) => {
  for (const entry of delivered.tree) if (entry.kind === "file") await of.fetch(entry);
};
const delivered = (): Promise<unknown> => session.delivered().catch((error: unknown) => error);
const wordIn = (end: ServerEnd | undefined) => end?.got.flatMap(({ header }) => (header.t === "delivered" ? [header.delivery] : []));
const settle = (over: Partial<LeaseView> = {}, end: Parameters<PaperMarket["end"]>[1] = {}): void => {
  view = { ...view, state: "settled", end: market.end(bound.po, end), ...over };
};

describe("a lease session", () => {
  it("brings the job's bytes and shows what comes", async () => {
    open();
    await attached();
    const { channel, got } = ends[0]!;
    expect(got[0]?.header).toMatchObject({ t: "job", spec: { args: ["x"] } });
    channel.send({ t: "want", digest: job.spec.module, offset: 0, length: 100 });
    await until(() => kinds().includes("part"));
    expect(Buffer.from(got.at(-1)!.body).toString()).toBe("module");
    channel.send({ t: "output", stream: "stdout", offset: 0 }, utf8("ab"));
    channel.send({ t: "output", stream: "stdout", offset: 1 }, utf8("bc")); // some of it again
    await until(() => output === "abc");
  });

  it("opens another channel where a server does not answer the first packet of one", async () => {
    silent = true;
    open();
    await gone(20_000);
    silent = false;
    await until(() => ends.length > 0, 60_000);
    await attached();
    expect(kinds()).toContain("job");
  });

  it("receipts the result once its files are here, by a document that names it", async () => {
    open({ onResult: fetchAll });
    await attached();
    const result = finish();
    const got = delivered();
    await until(() => kinds().includes("want"));
    expect(kinds()).not.toContain("delivered"); // not before the files are here
    await serveFiles(FILE);
    await until(() => kinds().includes("delivered"));
    expect(await got).toMatchObject({ from: "server", tree: TREE });
    const word = parseDocumentOf(nodeCrypto, "delivery", wordIn(ends[0])?.[0]);
    expect(word).toMatchObject({ ok: true, document: { payload: { lease: bound.po.id, result: result.id, sealed: null } } });
  });

  it.each<[string, () => void, RegExp]>([
    ["prints what it did not sign", () => void finish({}, TREE, "other"), /stdout is not what it signed/],
    ["lists files that it did not sign", () => void finish({}, []), /list of files/],
    ["signs the result of another job", () => void finish({ jobHash: "b".repeat(64) }), /another job/],
    ["signs it for another lease", () => void finish({ lease: "b".repeat(64) }), /not signed by the server for this lease/],
  ])("gives no receipt to a server that %s", async (_, act, why) => {
    open();
    await attached();
    act();
    await until(() => states.some((state) => why.test(state)));
    expect(states.find((state) => why.test(state))).toContain("not receipted");
    expect(kinds()).not.toContain("delivered");
    // nothing was delivered: the lease ends unpaid, and so does the wait
    settle({}, { reason: "not-delivered", exitCode: null });
    const got = delivered();
    await until(() => false, 5_000);
    expect(await got).toBeNull();
  });

  it("gives no receipt for a file with other bytes, and does not wait for ever", async () => {
    open({ onResult: fetchAll });
    await attached();
    finish();
    await serveFiles(utf8("a lie!"));
    await until(() => states.some((state) => state.includes("does not have the digest")));
    expect(kinds()).not.toContain("delivered");
    settle({}, { reason: "not-delivered", exitCode: null });
    const got = delivered();
    await gone(5_000);
    expect(await got).toBeNull();
  });

  it("gives no receipt where this side cannot keep the files, and says why", async () => {
    open({ onResult: () => Promise.reject(new Error("the disk is full")) });
    await attached();
    finish();
    const got = delivered();
    await gone(5_000);
    expect(await got).toMatchObject({ message: "the disk is full" });
    expect(kinds()).not.toContain("delivered");
  });

  it("says again that it was delivered on the next channel, with the same document", async () => {
    open();
    await attached();
    finish();
    await until(() => kinds().includes("delivered"));
    ends[0]!.channel.close();
    await until(() => ends.length === 2 && kinds().includes("attach"));
    finish();
    await until(() => kinds().includes("delivered"));
    expect(wordIn(ends[1])).toEqual(wordIn(ends[0]));
  });

  it("tells the broker itself where the server was lost before it could", async () => {
    open();
    await attached();
    finish();
    await until(() => kinds().includes("delivered"));
    view = { ...view, state: "delivering" };
    await until(() => client.kinds().includes("delivery"), 5_000);
    await gone(5_000);
    expect(client.kinds().filter((kind) => kind === "delivery")).toHaveLength(1);
  });

  it("tells it once the broker is back that was away just then, by the same document", async () => {
    open();
    await attached();
    finish();
    await until(() => kinds().includes("delivered"));
    const [taken, away] = [client.onSubmit, refuse("unavailable")];
    client.onSubmit = () => away;
    view = { ...view, state: "delivering" };
    await until(() => client.kinds().includes("delivery"), 5_000);
    client.onSubmit = taken;
    const words = () => client.submitted.filter(({ kind }) => kind === "delivery").map(({ id }) => id);
    await until(() => words().length === 2, 5_000);
    await gone(5_000);
    expect(words()).toEqual([words()[0], words()[0]]);
  });

  it("signs nothing where nothing is to be delivered, or its key may not", async () => {
    open();
    await attached();
    finish({ outputDigest: toHex(nodeCrypto.sha256(canonicalBytes([]))), stdoutDigest: shaOf("") }, [], "");
    await gone(5_000);
    expect(await session.delivered()).not.toBeNull();
    expect(kinds()).not.toContain("delivered");
    session.close();
    (client.identity as { scopes: readonly string[] }).scopes = ["read"];
    ends = [];
    open();
    await attached();
    finish();
    await gone(5_000);
    expect(await session.delivered()).not.toBeNull();
    expect(kinds()).not.toContain("delivered");
  });
});

it("says once that the server is not reached, however often it tries", async () => {
  reachable = false;
  open();
  await gone(10_000);
  expect(states).toEqual(["reconnecting"]);
  reachable = true;
  await attached();
  // one that has no room for it says nothing
  ends[0]!.channel.close();
  await until(() => ends.length === 2);
  await attached();
  expect(states).toEqual(["reconnecting"]);
  ends[1]!.channel.send({ t: "state", state: "waiting", usedMs: 0 });
  await gone(1_000);
  ends[1]!.channel.close();
  await until(() => states.length === 3);
  expect(states).toEqual(["reconnecting", "waiting", "reconnecting"]);
});

describe("a result that lies sealed with the broker", () => {
  const digestOf = ([entry]: readonly InputEntry[]): string => (entry?.kind === "file" ? entry.digest : "");
  const files = (file: Uint8Array): Map<string, Uint8Array> => new Map([[digestOf(TREE), file]]);

  let asked = false;
  beforeEach(() => void (asked = false));

  /** The server signed the one and sealed the other; `to`: the key that it is sealed to. */
  async function seal(printed: string, tree: InputEntry[], file: Uint8Array, to = client.identity.channelKey.publicKey): Promise<void> {
    reachable = false;
    const digests = { stdoutDigest: shaOf("hello"), outputDigest: toHex(nodeCrypto.sha256(canonicalBytes(TREE))) };
    const { envelope, id } = market.result(server, bound.po.id, bound.order, digests);
    const stored = { kind: "result", id, envelope, at: START, salt: "" as const, leaf: id, index: 1, proof: [] };
    client.answers.receipt = () => ({
      ...{
        format: "xenoservers-receipt-1",
        lease: bound.po.id,
        market: market.pins,
        documents: [stored],
        leaves: [],
        checkpoint: "",
        size: 2,
      },
    });
    const context = { lease: bound.po.id, result: id };
    async function* bytes(): AsyncGenerator<Uint8Array> {
      for (const digest of filesOf(tree).keys()) yield files(file).get(digest) ?? utf8("");
      yield utf8(printed);
    }
    const shape = { tree, stdoutSize: printed.length, stderrSize: 0 };
    const [part = utf8("")] = await collected(sealResult(toHex(to), context, shape, bytes()));
    client.bytes = () => {
      asked = true;
      return part;
    };
    settle({ delivery: { by: "broker", at: START } }, { result: id });
  }

  /** It is opened by the machine's own cryptography, for which this clock does not stand still. */
  async function opened(condition: () => boolean): Promise<void> {
    await until(() => asked);
    await really(condition);
  }

  it("is fetched, opened and checked; its output goes on where it was", async () => {
    await seal("hello", TREE, FILE);
    open({ onResult: fetchAll }, null);
    await opened(() => output !== "");
    expect(await session.delivered()).toMatchObject({ from: "broker" });
    expect(output).toBe("hello");
    expect(await session.fetch({ digest: digestOf(TREE), size: FILE.length })).toEqual(FILE);
  });

  it.each<[string, () => Promise<void>, RegExp]>([
    ["prints something else", () => seal("hellO", TREE, FILE), /stdout is not what it signed/],
    ["lists other files", () => seal("hello", [], FILE), /list of files is not the one that it signed/],
    ["holds another file under that name", () => seal("hello", TREE, utf8("a lie!")), /not what a server seals/],
    ["is sealed to another key", () => seal("hello", TREE, FILE, server.channelKey.publicKey), /is not for this key/],
  ])("is not shown where it %s", async (_, act, why) => {
    await act();
    open({}, null);
    await opened(() => states.some((state) => why.test(state)));
    const got = delivered();
    await gone(120_000); // its server might still have it
    expect(await got).toBeNull();
    expect(output).toBe("");
  });
});

describe("the wait for a lease", () => {
  it("ends with its settlement", async () => {
    open();
    await attached();
    settle({}, { reason: "server-failed", result: null, exitCode: null });
    const got = Promise.all([session.settled(), session.delivered()]);
    await gone(5_000);
    expect((await got)[0].end?.reason).toBe("server-failed");
    expect((await got)[1]).toBeNull();
  });

  it("ends in words where the broker lets it stand past every deadline", async () => {
    open({}, null);
    const got = session.settled().catch((error: unknown) => error);
    await until(() => false, 600_000);
    expect(await got).toMatchObject({ message: expect.stringMatching(/should have ended.*lets it stand as 'open'/) });
  });

  it("goes on as long as a deadline says, however long that is", async () => {
    open({}, null);
    view = { ...view, deadlineAt: START + 3_600_000 };
    let over = false;
    const got = session.settled().then(
      () => (over = true),
      () => (over = true),
    );
    await gone(3_600_000);
    expect(over).toBe(false);
    await gone(300_000);
    await got;
    expect(over).toBe(true);
  });

  it("ends in words where the broker is away for good, not while it may come back", async () => {
    open({}, null);
    client.answers.lease = () => {
      throw new Error("away");
    };
    let over: unknown = null;
    void session.settled().catch((error: unknown) => (over = error));
    await gone(300_000);
    expect(over).toBeNull();
    await gone(1_800_000);
    expect(over).toMatchObject({ message: expect.stringMatching(/has not answered for/) });
  });

  /** The broker says that the order is on that server now. */
  function placedOn(other: PaperServer, order: SignedDocument<"order">): SignedDocument<"purchase-order"> {
    const customer = market.party("carl", SEED);
    const po = market.purchaseOrder(order, other, market.offer(other), { attempt: 2 });
    client.answers.order = () => ({ id: order.id, lease: po.id, attempt: 2, waiting: null, refused: null });
    const stored = (envelope: typeof po.envelope, kind: string) => {
      return { kind, id: po.id, envelope, at: START, salt: "" as const, leaf: po.id, index: 1, proof: [] };
    };
    const leaves = [...customer.grants, ...other.grants].map((envelope) => stored(envelope, "key-grant"));
    client.answers.receipt = () => ({
      ...{ format: "xenoservers-receipt-1", lease: po.id, market: market.pins, documents: [stored(po.envelope, "purchase-order")] },
      ...{ leaves, checkpoint: "", size: 2 },
    });
    return po;
  }

  it.each<[string, () => void]>([
    ["has printed", () => {}],
    ["has printed all and shown its result, which is taken here", () => void finish({}, TREE, "hello")],
    ["goes on printing", () => void ends[0]!.channel.send({ t: "output", stream: "stdout", offset: 5 }, utf8(" and more"))],
  ])("begins anew on another server after one that %s: what is receipted is the second one's alone", async (_, act) => {
    const [moved, taken]: [string[], string[]] = [[], []];
    open({
      onMoved: () => void moved.push(output.slice(0, 5)),
      onResult: async ({ result }) => void taken.push(result.lease),
    });
    await attached();
    const first = ends[0]!;
    first.channel.send({ t: "output", stream: "stdout", offset: 0 }, utf8("hello"));
    await until(() => output === "hello");
    act();
    await gone(500);
    const other = market.server(market.party("otto"));
    const po = placedOn(other, bound.order);
    view = { ...view, state: "lapsed" };
    await until(() => moved.length > 0, 10_000);
    first.channel.send({ t: "output", stream: "stdout", offset: 5 }, utf8(" late"));
    [server, bound, output, view] = [other, { ...bound, po: po as BoundOrder["po"] }, "", market.view(po)];
    await until(() => ends.length > 1 && kinds().includes("attach"), 10_000);
    expect(ends[1]!.got.find(({ header }) => header.t === "attach")?.header).toMatchObject({ stdout: 0, stderr: 0 });
    const result = finish();
    await until(() => kinds().includes("delivered"), 10_000);
    expect([moved, output, taken.at(-1)]).toEqual([["hello"], "hello", po.id]);
    const [word] = wordIn(ends[1]) ?? [];
    expect(parseDocumentOf(nodeCrypto, "delivery", word)).toMatchObject({ document: { payload: { lease: po.id, result: result.id } } });
    expect(states.filter((state) => state.startsWith("problem"))).toEqual([]);
  });

  it.each([
    ["and the next one has all of it", 0],
    ["but not on one that would miss some of it: it ends in words, and the order is withdrawn", 3],
  ])("begins anew on another server what reads input %s", async (_, read) => {
    const input = new PassThrough();
    input.end("hello");
    open({ onInput: () => input });
    await attached();
    ends[0]!.channel.send({ t: "stdin-taken", bytes: 0, isTerminal: false });
    await until(() => kinds().includes("stdin"), 10_000);
    if (read > 0) ends[0]!.channel.send({ t: "stdin-taken", bytes: read, isTerminal: false });
    await gone(500);
    const other = market.server(market.party("otto"));
    const po = placedOn(other, bound.order);
    view = { ...view, state: "lapsed" };
    if (read > 0) {
      let why = "";
      void session.failed.then(({ message }) => (why = message));
      return until(() => why.includes("has read some of its input"), 60_000);
    }
    await until(() => states.includes("matched again"), 10_000);
    [server, bound, view] = [other, { ...bound, po: po as BoundOrder["po"] }, market.view(po)];
    await until(() => ends.length > 1 && kinds().includes("attach"), 10_000);
    ends[1]!.channel.send({ t: "stdin-taken", bytes: 0, isTerminal: false });
    await until(() => ends[1]!.got.some(({ header }) => header.t === "stdin"), 10_000);
    const sent = ends[1]!.got.filter(({ header }) => header.t === "stdin").map(({ body }) => Buffer.from(body).toString());
    expect(sent.join("")).toBe("hello");
  });

  it("follows its order to another server, and sends nothing under another order", async () => {
    open();
    await attached();
    view = { ...view, state: "lapsed" };
    const other = market.server(market.party("otto"));
    const right = placedOn(other, bound.order);
    await until(() => states.includes("matched again"), 10_000);
    expect(session.lease).toBe(right.id);
    // now the broker puts another order of the same customer in its place
    placedOn(other, client.sign("order", { ...bound.order.payload, jobHash: "c".repeat(64), clientId: client.newId() }));
    const failed = Promise.race([session.settled(), session.failed]);
    await gone(10_000);
    expect(await failed).toBeInstanceOf(BrokenPurchaseOrder);
    expect(client.kinds().at(-1)).toBe("stop");
  });

  it("is over at once where its order went nowhere else", async () => {
    open();
    view = { ...view, state: "lapsed" };
    client.answers.order = () => ({ id: bound.order.id, lease: bound.po.id, attempt: 1, waiting: null, refused: null });
    const got = session.settled();
    await gone(2_000);
    expect((await got).state).toBe("lapsed");
  });

  it("ends before a server that takes nothing of the job may say that it was missing, and the order is withdrawn", async () => {
    reachable = false;
    open();
    const failed = Promise.race([session.settled(), session.failed]);
    await until(() => client.kinds().includes("stop"), 600_000);
    expect(clock.now()).toBeLessThan(bound.po.payload.startBy);
    await gone(1_000);
    expect(await failed).toMatchObject({ message: expect.stringContaining("nothing of the job") });
    expect(session.left).toBe("withdrawn");
  });

  it("goes on where the server has asked for the job, however late it is", async () => {
    open();
    await attached();
    ends[0]!.channel.send({ t: "want", digest: job.spec.module, offset: 0, length: 100 });
    await until(() => kinds().includes("part"));
    await gone(bound.po.payload.startBy - clock.now() + 1_000);
    expect(client.kinds()).not.toContain("stop");
    expect(session.left).toBeNull();
  });
});

describe("a lease of a key that may only spend", () => {
  const failed = () => Promise.race([session.settled(), session.failed]).catch((error: unknown) => error);
  beforeEach(() => {
    (client.identity as { scopes: readonly string[] }).scopes = ["spend"];
    client.answers.lease = () => Promise.reject(new Error("it was looked at")) as never;
  });

  it("ends in words where its server takes nothing of the job", async () => {
    reachable = false;
    open();
    const got = failed();
    await until(() => client.kinds().includes("stop"), 600_000);
    expect(clock.now()).toBeLessThan(bound.po.payload.startBy);
    await gone(1_000);
    expect(await got).toMatchObject({ message: expect.stringContaining("nothing of the job") });
  });

  it("ends in words where its server takes the job and never runs it", async () => {
    open();
    await attached();
    ends[0]!.channel.send({ t: "want", digest: job.spec.module, offset: 0, length: 100 });
    const got = failed();
    await gone(24 * 3_600_000);
    expect(await got).toMatchObject({ message: expect.stringContaining("its server has never said that it runs") });
    expect(client.kinds()).not.toContain("stop");
  });

  it("is followed as long as it runs", async () => {
    open();
    await attached();
    ends[0]!.channel.send({ t: "state", state: "running", usedMs: 0 });
    await gone(24 * 3_600_000);
    ends.at(-1)!.channel.send({ t: "output", stream: "stdout", offset: 0 }, utf8("late"));
    await until(() => output === "late");
  });
});

describe("an order that is withdrawn", () => {
  const wrongState = { ok: false, code: "wrong_state", facts: {} } as const;
  /** The lease that the order comes to, and that the broker names from now on. */
  function boundTo(order: SignedDocument<"order">, attempt: number): string {
    const { id: lease, envelope } = market.purchaseOrder(order, server, market.offer(server), { attempt });
    client.answers.order = () => ({ id: order.id, lease, attempt, waiting: null, refused: null });
    client.answers.receipt = () => ({ documents: [{ kind: "purchase-order", envelope }], leaves: [] }) as unknown as RouteReply<"receipt">;
    return lease;
  }
  const stopped = () => client.submitted.flatMap(({ kind, payload }) => (kind === "stop" && "lease" in payload ? [payload.lease] : []));

  it("is stopped where it stands, or wherever it has moved to meanwhile", async () => {
    open();
    expect(await session.withdraw("why")).toBe("withdrawn");
    const next = boundTo(bound.order, 2);
    client.onSubmit = () => (stopped().at(-1) === next ? { ok: true, answer: {} } : wrongState);
    expect(await session.withdraw("why")).toBe("withdrawn");
    expect(stopped()).toEqual([bound.po.id, bound.po.id, next]);
  });

  it("was over where its last lease is, and is not followed for ever by a broker that moves it on and on", async () => {
    open();
    client.onSubmit = () => wrongState;
    boundTo(bound.order, 1);
    expect(await session.withdraw("why")).toBe("over");
    let moved = 1;
    client.onSubmit = () => {
      boundTo(bound.order, ++moved);
      return wrongState;
    };
    expect(await session.withdraw("why")).toBe("over");
    expect(moved).toBeLessThan(10);
  });

  it("says so where the broker does not hear it", async () => {
    open();
    client.onSubmit = () => ({ ok: false, code: "unavailable", facts: {} });
    expect(await session.withdraw("why")).toBe("unheard");
    client.onSubmit = () => wrongState;
    client.answers.order = () => {
      throw new Error("away");
    };
    expect(await session.withdraw("why")).toBe("unheard");
  });

  it("is withdrawn too where only its answer was lost", async () => {
    open();
    session.close();
    let lost = "";
    client.onSubmit = (document) => {
      if (document.kind === "stop") return { ok: true, answer: {} };
      if (document.kind === "order-withdrawal") return refuse("wrong_state");
      lost = boundTo(document as SignedDocument<"order">, 1);
      return refuse("unavailable");
    };
    const { resources, terms, assurance, on, durationMsMax } = bound.order.payload;
    const wanted = { resources, terms, assurance, on, durationMsMax, maxPriceNanosPerHour: null, label: "" } as const;
    const order = placeOrder(client, { ...wanted, conditions: [], fuelMax: 10n ** 12n, budgetNanos: 10n ** 9n }, job.jobHash);
    await expect(order).rejects.toThrow("unavailable");
    expect(stopped()).toEqual([lost]);
  });

  it("has no other lease of its customer's stopped, whatever the broker says that it came to", async () => {
    open();
    client.onSubmit = () => wrongState;
    const others = boundTo(market.order(market.party("carl", SEED), {}), 1);
    expect(await session.withdraw("why")).toBe("over");
    expect(stopped()).not.toContain(others);
  });
});
