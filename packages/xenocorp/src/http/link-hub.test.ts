/**
 * Links: what a key has open ends with it, documents come with what gives their signers their roles, and nobody makes the broker keep more
 * than it bounds.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { KeyBook, zEnvelope, type Signer } from "@xenoservers/protocol";
import { channelMessage, type Closing, type FromBroker } from "@xenoservers/protocol/link";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { until } from "../../../../test/until.ts";
import { Channels, type ChannelEnd } from "./channels.ts";
import { PLACES } from "./door.ts";
import type { LinkPipe } from "./link.ts";
import { World, newId, newSigner, type Party, type Server } from "./world.fixture.ts";

let world: World;
let customer: Party;
let server: Server;

beforeEach(async () => {
  world = new World();
  await world.start();
  customer = await world.party(1_000_000_000n);
  server = await world.server(await world.party());
});
afterEach(() => world.close());

/** The far end of a link, with all that it was sent. */
class Far {
  readonly heard: FromBroker[] = [];
  readonly bytes: Uint8Array[] = [];
  readonly rests: number[] = [];
  closed: Closing | null = null;
  unread = 0;
  /** Whether it reads what is passed on to it. */
  reads = true;
  #deliver: (message: string | Uint8Array) => void = () => {};
  #owedMs: () => number = () => 0;
  #waiting: (() => void)[] = [];

  end: () => void = () => {};

  constructor(address = "") {
    const pipe: LinkPipe = {
      send: (message) => {
        if (typeof message === "string") this.heard.push(JSON.parse(message) as FromBroker);
        else this.bytes.push(message);
        this.#wake();
      },
      close: (why) => {
        this.closed ||= why;
        this.#wake();
      },
      passOn: (bytes, sent) => {
        this.bytes.push(bytes);
        this.#wake();
        if (this.reads) sent();
      },
      unreadBytes: () => this.unread,
      heeds: (owedMs) => void (this.#owedMs = owedMs),
      onMessage: (handler) => void (this.#deliver = handler),
      onClose: (handler) => void (this.end = handler),
    };
    world.hub.accept(pipe, address);
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  async until(so: () => boolean): Promise<void> {
    while (!so()) await new Promise<void>((wake) => this.#waiting.push(wake));
  }

  async hears<T extends FromBroker["t"]>(t: T): Promise<Extract<FromBroker, { t: T }>> {
    const isIt = (message: FromBroker): message is Extract<FromBroker, { t: T }> => message.t === t;
    await this.until(() => this.heard.some(isIt));
    const found = this.heard.findIndex(isIt);
    const [message] = this.heard.splice(found, 1);
    if (!message || !isIt(message)) throw new Error("unheard");
    return message;
  }

  say(message: object | Uint8Array): void {
    this.#deliver(message instanceof Uint8Array ? message : JSON.stringify(message));
    if (this.#owedMs() > 0) this.rests.push(this.#owedMs());
  }

  /** `aheadMs`: how far its clock is ahead. */
  async login(signer: Signer, party: string, aheadMs = 0): Promise<this> {
    const { challenge } = await this.hears("challenge");
    const { envelope } = world.sign(signer, "login", { party, challenge });
    this.say({ t: "hello", protocol: 1, login: envelope, clock: world.services.now() + aheadMs });
    await this.until(() => this.closed !== null || this.heard.some(({ t }) => t === "welcome" || t === "refused"));
    return this;
  }
}

const serverLink = async (): Promise<Far> => new Far().login(server.key, server.owner.id);

async function channel(from: Far, to: Far, lease: string): Promise<string> {
  const session = newId();
  from.say({ t: "channel-open", lease, session });
  await to.hears("channel-open");
  return session;
}

it("has few documents of one party on their way, over all of its links, and says of the others when to send them again", async () => {
  const links = [await new Far().login(customer.root, customer.id), await new Far().login(customer.root, customer.id)];
  const { envelope } = world.sign(customer.root, "stop", { lease: "ab".repeat(32), party: customer.id, reason: "" });
  const { perHolder } = PLACES.documents;
  for (let ref = 0; ref < perHolder; ref++) for (const link of links) link.say({ t: "submit", ref, envelope });
  for (const link of links) await link.until(() => link.heard.filter(({ t }) => t === "answer").length === perHolder);
  const codes = links.flatMap(({ heard }) => heard.flatMap((each) => (each.t === "answer" && each.error ? [each.error["code"]] : [])));
  expect(codes.filter((code) => code === "rate_limited")).toHaveLength(perHolder);
  links[0]!.say({ t: "submit", ref: perHolder, envelope });
  await links[0]!.until(() => links[0]!.heard.some((each) => each.t === "answer" && each.ref === perHolder));
  expect(links[0]!.heard.at(-1)).not.toMatchObject({ error: { code: "rate_limited" } });
});

it("answers a will as a document where none is kept, and the link goes on", async () => {
  const link = await new Far().login(customer.root, customer.id);
  const { envelope } = world.sign(customer.root, "stop", { lease: "ab".repeat(32), party: customer.id, reason: "" });
  link.say({ t: "will", ref: 7, lease: "ab".repeat(32), envelope });
  expect(await link.hears("answer")).toMatchObject({ ref: 7, error: { code: "unknown_kind" } });
  link.say({ t: "ping" });
  await link.hears("pong");
  expect(link.closed).toBeNull();
});

describe("a key that ends", () => {
  it("loses its link and its channels at once, and is heard no more", async () => {
    const device = await world.key(customer, "device");
    const { lease } = await world.lease(customer, server, {}, device);
    const [theirs, own, others] = [
      await serverLink(),
      await new Far().login(device, customer.id),
      await new Far().login(customer.root, customer.id),
    ];
    const session = await channel(own, theirs, lease);
    await world.must(customer.root, "key-revoke", { party: customer.id, key: device.publicKey, reason: "" });
    expect((await own.hears("refused")).error["code"]).toBe("key_revoked");
    expect(own.closed).toBe("refused");
    expect(await theirs.hears("channel-close")).toMatchObject({ session });
    // its pipe may stay open for as long as its other end likes
    own.say(channelMessage(session, Uint8Array.of(1)));
    own.say({ t: "submit", ref: 1, envelope: {} });
    own.say({ t: "ping" });
    others.say({ t: "ping" });
    await others.hears("pong");
    expect(theirs.bytes).toEqual([]);
    expect(own.heard.filter(({ t }) => t === "pong" || t === "answer")).toEqual([]);
    expect(world.hub.counts).toEqual({ servers: 1, customers: 1, channels: 0 });
  });

  it("of a server is listed and matched no more; its lease goes on by the rules", async () => {
    const { lease } = await world.lease(customer, server);
    const link = await serverLink();
    await world.must(server.owner.root, "key-revoke", { party: server.owner.id, key: server.key.publicKey, reason: "" });
    expect(link.closed).toBe("refused");
    expect([...world.services.index.all()]).toEqual([]);
    expect(await world.act(customer.root, "order", world.orderOf(customer))).toMatchObject({ code: "no_match" });
    expect((await world.store.load("server", [server.id])).get(server.id)?.data).toMatchObject({ offer: null, offerId: null });
    expect((await world.row(lease)).state).toBe("open");
    await world.pass(120_000);
    expect((await world.row(lease)).end).toMatchObject({ blame: "owner" });
  });

  it("is cut where another broker heard of it, too: also one that took long to commit", async () => {
    const device = await world.key(customer, "device");
    const link = await new Far().login(device, customer.id);
    await world.hub.cutRevoked();
    const key = (await world.store.load("key", [device.publicKey])).get(device.publicKey);
    if (!key) throw new Error("no key");
    const revokedAt = world.now;
    world.now += 5_000;
    await world.hub.cutRevoked();
    expect(link.closed).toBeNull();
    const data = { ...key.data, revokedAt };
    await world.store.commit([
      {
        ...{ id: "elsewhere", answer: {}, uniques: [], floors: [], transfers: [], documents: [], events: [] },
        puts: [{ kind: "key", id: data.id, expect: key.version, data }],
      },
    ]);
    await world.hub.cutRevoked();
    expect(link.closed).toBe("refused");
  });

  it("by its own time is cut then", async () => {
    const expiresAt = world.now + 50;
    const device = await world.key(customer, "device", { expiresAt });
    const link = await new Far().login(device, customer.id);
    expect(link.closed).toBeNull();
    world.now = expiresAt;
    expect((await link.hears("refused")).error["code"]).toBe("key_expired");
    expect(link.closed).toBe("refused");
  });

  it("takes the old root key's links with it when it is rotated", async () => {
    const link = await new Far().login(customer.root, customer.id);
    await world.must(customer.root, "key-rotate", { party: customer.id, newRootKey: newSigner().publicKey, newRecoveryKey: null });
    expect(link.closed).toBe("refused");
  });
});

describe("a server's clock", () => {
  const HOURS = 2 * 3_600_000;
  const login = (aheadMs: number): Promise<Far> => new Far().login(server.key, server.owner.id, aheadMs);
  const excluded = async (): Promise<unknown> => {
    const reply = await world.app.inject({ url: "/api/v1/offers" });
    return (reply.json() as { excluded: object }).excluded;
  };
  const offer = (sequence: number) => world.act(server.key, "offer", world.offerOf(server, { sequence }));

  it.each([
    ["ahead", HOURS],
    ["behind", -HOURS],
    ["a little more off than half the time that an acceptance has", 2_501],
  ])("that is %s gets it no orders; it is told how far off it is, and each of its offers is refused with that", async (_, aheadMs) => {
    const link = await login(aheadMs);
    expect((await link.hears("welcome")).clock).toEqual({ offsetMs: aheadMs, errorMs: 0, allowedMs: 2_500 });
    expect(await excluded()).toEqual({ clock: 1 });
    expect(await offer(2)).toMatchObject({ code: "clock_off", offsetMs: aheadMs, allowedMs: 2_500 });
    // set, it logs in again and is as good as any
    await login(0);
    expect(await excluded()).toEqual({});
    expect(await offer(2)).not.toHaveProperty("code");
  });

  it("that is slightly off, or was asked so slowly that it may be right, counts as right", async () => {
    await login(-2_400);
    expect(await excluded()).toEqual({});
    const slow = new Far();
    const { challenge } = await slow.hears("challenge");
    const { envelope } = world.sign(server.key, "login", { party: server.owner.id, challenge });
    const clock = world.now;
    world.now += 30_000;
    slow.say({ t: "hello", protocol: 1, login: envelope, clock });
    expect((await slow.hears("welcome")).clock).toEqual({ offsetMs: -15_000, errorMs: 15_000, allowedMs: 2_500 });
    expect(await excluded()).toEqual({});
  });
});

describe("documents", () => {
  it("come with the grants of their signers, pushed and when the server comes back", async () => {
    const device = await world.key(customer, "device");
    const link = await serverLink();
    expect((await link.hears("welcome")).live).toEqual({ grants: [], filed: [] });
    const { lease } = await world.lease(customer, server, {}, device);
    const pushed = (await link.hears("documents")).documents;
    await world.must(device, "stop", { lease, party: customer.id, reason: "" });
    const stop = (await link.hears("documents")).documents;
    const back = await serverLink();
    expect(link.closed).toBe("replaced");
    for (const { grants, filed } of [pushed, stop, (await back.hears("welcome")).live]) {
      const book = new KeyBook(nodeCrypto, world.services.market.origin);
      for (const grant of grants) expect(book.learn(grant)).toBe(true);
      expect(book.keyOf(device.publicKey)).toMatchObject({ party: customer.id, role: "device" });
      for (const { envelope, at } of filed) expect([zEnvelope.safeParse(envelope).success, at > 0]).toEqual([true, true]);
    }
  });

  it("that are many come in pages, each lease of the first page whole", async () => {
    const LEASES = 120;
    await world.must(
      server.key,
      "offer",
      world.offerOf(server, { sequence: 2, resources: { vcpu: LEASES, memoryMib: 65_536, diskMib: 65_536 } }),
    );
    const leases: string[] = [];
    for (let i = 0; i < LEASES; i++) leases.push((await world.lease(customer, server)).lease);
    const link = await serverLink();
    const pages = [(await link.hears("welcome")).live];
    const count = (): number => pages.reduce((sum, { filed }) => sum + filed.length, 0);
    while (count() < 2 * LEASES) pages.push((await link.hears("documents")).documents);
    expect(pages.length).toBeGreaterThan(1);
    expect(pages.every((page) => JSON.stringify(page).length < 1024 * 1024)).toBe(true);
    expect(pages[0]?.filed.length).toBeGreaterThan(2);
    expect((pages[0]?.filed.length ?? 1) % 2).toBe(0);
  });
});

describe("a channel that is closed while its lease is looked up", () => {
  const end = (more: Partial<ChannelEnd> = {}) => {
    const told: FromBroker[] = [];
    const tell = (message: FromBroker): void => void told.push(message);
    return { open: true, channels: new Set<string>(), channelsOpening: 0, isFull: false, tell, pass() {}, told, ...more };
  };

  it.each(["by its customer", "with its customer's link"])(
    "%s never comes to be, and leaves no place taken and no connection to another broker",
    async (how) => {
      const channels = new Channels();
      const left: string[] = [];
      const [customer, server] = [end(), end({ left: () => void left.push("the other broker") })];
      const found = Promise.withResolvers<ChannelEnd>();
      const asked = { find: () => found.promise, take: () => () => void left.push("its place") };
      const opened = channels.open(customer, { lease: "ab".repeat(32), session: "s" }, asked);
      if (how === "by its customer") channels.close("s", customer, "");
      else customer.open = false;
      found.resolve(server);
      expect(await opened).toBe(how === "by its customer");
      expect([left, channels.size, server.told, customer.told]).toEqual([["its place", "the other broker"], 0, [], []]);
    },
  );

  it("counts as refused where it would have been: whoever guesses at leases pays for each", async () => {
    const [channels, customer] = [new Channels(), end()];
    const asked = { find: async () => "no such lease", take: () => () => {} };
    const opened = channels.open(customer, { lease: "ab".repeat(32), session: "s" }, asked);
    channels.close("s", customer, "");
    expect([await opened, customer.told]).toEqual([false, []]);
  });

  it("is closed by nobody else", async () => {
    const channels = new Channels();
    const [customer, server, other] = [end(), end(), end()];
    const opened = channels.open(customer, { lease: "ab".repeat(32), session: "s" }, { find: async () => server, take: () => () => {} });
    channels.close("s", other, "");
    expect([await opened, channels.size]).toEqual([true, 1]);
  });
});

describe("whoever does not read, or asks too much", () => {
  it("loses the channel, and holds up nobody else", async () => {
    const { lease } = await world.lease(customer, server);
    const [theirs, own] = [await serverLink(), await new Far().login(customer.root, customer.id)];
    const session = await channel(own, theirs, lease);
    own.unread = 100 * 1024 * 1024;
    theirs.say(channelMessage(session, Uint8Array.of(1)));
    expect(await theirs.hears("channel-close")).toMatchObject({ session, why: "the other end does not read" });
    expect([theirs.closed, world.hub.counts.channels]).toEqual([null, 0]);
  });

  it("loses the channel where its own part of it waits, however little else does", async () => {
    const { lease } = await world.lease(customer, server);
    const [theirs, own] = [await serverLink(), await new Far().login(customer.root, customer.id)];
    const [session, other] = [await channel(own, theirs, lease), await channel(own, theirs, lease)];
    own.reads = false;
    for (let i = 0; i < 18; i++) theirs.say(channelMessage(session, new Uint8Array(65_000)));
    theirs.say(channelMessage(other, Uint8Array.of(1)));
    expect(await theirs.hears("channel-close")).toMatchObject({ session, why: "the other end does not read" });
    expect([own.closed, world.hub.counts.channels]).toEqual([null, 1]);
  });

  it("loses the link when it does not read what the broker tells it", async () => {
    const own = await new Far().login(customer.root, customer.id);
    own.unread = 100 * 1024 * 1024;
    world.hub.event({ party: customer.id, kind: "k", lease: null, data: {}, at: 1 });
    expect(own.closed).toBe("not-reading");
  });

  it("opens no more channels than a link may have, even while none is looked up yet", async () => {
    const own = await new Far().login(customer.root, customer.id);
    const asked = Array.from({ length: 300 }, () => own.say({ t: "channel-open", lease: "ab".repeat(32), session: newId() }));
    await own.until(() => own.heard.filter(({ t }) => t === "channel-close").length === asked.length);
    const refused = own.heard.filter((message) => message.t === "channel-close" && message.why === "too many channels");
    expect(refused.length).toBe(300 - 128);
  });

  it("is not listened to once its messages cost more than its party has, whatever kind they are of", async () => {
    const kinds: [string, () => object | Uint8Array][] = [
      ["ping", () => ({ t: "ping" })],
      ["channel-open", () => ({ t: "channel-open", lease: "ab".repeat(32), session: newId() })],
      ["channel-close", () => ({ t: "channel-close", session: newId() })],
      ["submit", () => ({ t: "submit", ref: 1, envelope: {} })],
      ["bytes of no channel", () => channelMessage(newId(), Uint8Array.of(1))],
    ];
    for (const [kind, message] of kinds) {
      const poor = new World(undefined, { requestsPerSecond: 5 });
      await poor.start();
      world = poor;
      const party = await poor.party(1n);
      const own = await new Far().login(party.root, party.id);
      expect([kind, own.rests]).toEqual([kind, []]);
      for (let i = 0; i < 200 && own.rests.length === 0; i++) own.say(message());
      expect([kind, own.rests.length]).toEqual([kind, 1]);
      const other = await poor.party(1n);
      const theirs = await new Far("other address").login(other.root, other.id);
      theirs.say(message());
      expect([kind, theirs.rests]).toEqual([kind, []]);
      await poor.close();
    }
  });

  it("loses the link where it goes on for long all the same, and others at its address do not", async () => {
    await world.close();
    world = new World(undefined, { requestsPerSecond: 5 });
    await world.start();
    const [loud, quiet] = [await world.party(1n), await world.party(1n)];
    const own = await new Far("shared").login(loud.root, loud.id);
    const theirs = await new Far("shared").login(quiet.root, quiet.id);
    for (let i = 0; i < 60; i++) own.say({ t: "ping" });
    expect(own.closed).toBe("too-much");
    for (let i = 0; i < 3; i++) theirs.say({ t: "ping" });
    expect([theirs.closed, theirs.rests.length]).toEqual([null, 3]);
  });

  it("pays more for channels that there are not", async () => {
    const { lease } = await world.lease(customer, server);
    const [theirs, own] = [await serverLink(), await new Far().login(customer.root, customer.id)];
    const charged = vi.spyOn(world.hub.door, "charge");
    await channel(own, theirs, lease);
    const spent = (): number => charged.mock.calls.reduce((sum, [, , cost]) => sum + cost, 0);
    const good = spent();
    own.say({ t: "channel-open", lease: "ab".repeat(32), session: newId() });
    await own.hears("channel-close");
    await until(() => spent() >= 4 * good);
  });

  it("pays more for documents that are refused", async () => {
    const own = await new Far().login(customer.root, customer.id);
    const charged = vi.spyOn(world.hub.door, "charge");
    own.say({ t: "submit", ref: 1, envelope: {} });
    await own.hears("answer");
    expect(charged.mock.calls.map(([, , cost]) => cost)).toEqual([4, 28]);
  });

  it("has so many links as its party and its address may, and is told", async () => {
    await world.close();
    world = new World(undefined, { places: { partyLinks: { max: 9, perHolder: 2 }, addressLinks: { max: 9, perHolder: 3 } } });
    await world.start();
    const [first, other] = [await world.party(1n), await world.party(1n)];
    const links = [await new Far("a").login(first.root, first.id), await new Far("b").login(first.root, first.id)];
    const third = await new Far("a").login(first.root, first.id);
    expect([...links, third].map(({ closed }) => closed)).toEqual([null, null, "too-many-links"]);
    // a place is free again when its link has gone
    links[0]?.end();
    third.end();
    expect((await new Far("b").login(first.root, first.id)).closed).toBeNull();
    const here = [new Far("a"), new Far("a"), new Far("a")];
    expect(here.map(({ closed }) => closed)).toEqual([null, null, null]);
    expect(new Far("a").closed).toBe("too-many-links");
    expect((await new Far("c").login(other.root, other.id)).closed).toBeNull();
  });

  it("keeps what it sends ahead of a channel small", async () => {
    const { lease } = await world.lease(customer, server);
    const [theirs, own] = [await serverLink(), await new Far().login(customer.root, customer.id)];
    const session = newId();
    own.say({ t: "channel-open", lease, session });
    own.say(channelMessage(session, new Uint8Array(60_000)));
    own.say(channelMessage(session, new Uint8Array(100)));
    for (let i = 0; i < 20; i++) own.say(channelMessage(session, new Uint8Array(101)));
    await theirs.hears("channel-open");
    expect(theirs.bytes.map(({ length }) => length)).toEqual([116, 117]);
  });

  it("logs in once on a link", async () => {
    const own = await new Far().login(customer.root, customer.id);
    own.say({
      t: "hello",
      protocol: 1,
      login: world.sign(customer.root, "login", { party: customer.id, challenge: "ab".repeat(32) }).envelope,
      clock: 0,
    });
    await own.until(() => own.closed !== null);
    expect(world.hub.counts.customers).toBe(0);
  });
});
