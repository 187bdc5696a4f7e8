/** A session whose lease goes on at another server of its owner: by what its servers signed, and by no broker's word alone. */
import {
  leafHashOf,
  parseDocument,
  toHex,
  utf8,
  type Envelope,
  type Kind,
  type LeaseView,
  type Payload,
  type Receipt,
  type SignedDocument,
} from "@xenoservers/protocol";
import { respondChannel, type Channel, type ChannelHeader } from "@xenoservers/protocol/channel";
import type { Pipe } from "@xenoservers/protocol/link";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { Network, PaperMarket, Random, SimClock, type PaperParty, type PaperServer } from "@xenoservers/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PaperClient } from "../../../../test/support/paper-client.ts";
import { boundIn } from "../purchase-order.ts";
import { LeaseSession } from "./lease-session.ts";

const SEED = new Uint8Array(32).fill(3);
const START = 1_800_000_000_000;
const MACHINES: Partial<Payload<"offer">> = { drivers: ["qemu"], vmEngine: "paper-1", accel: "kvm" };

let clock: SimClock;
let market: PaperMarket;
let client: PaperClient;
let owner: PaperParty;
let server: PaperServer;
let other: PaperServer;
let po: SignedDocument<"purchase-order">;
let documents: SignedDocument[];
let view: LeaseView;
/** What was said on each channel that was opened, and to whom. */
let ends: { channel: Channel; got: ChannelHeader[] }[];
/** Who answers at the lease's channels. */
let answers: PaperServer;
let states: string[];
let output: string;
let session: LeaseSession;
/** Grants beside those of this lease's own people. */
let others: Envelope[];

function receipt(): Receipt {
  const stored = ({ kind, id, envelope }: { kind: Kind; id: string; envelope: Envelope }, salt: string) => {
    return {
      kind,
      id,
      envelope,
      at: START,
      salt,
      leaf: leafHashOf(nodeCrypto, { kind, id, envelope }, START, salt),
      index: null,
      proof: [],
    };
  };
  const customer = market.party("carl", SEED);
  const grants = [...customer.grants, ...server.grants, ...other.grants.slice(owner.grants.length), ...others];
  const leaves = grants.map((envelope) => {
    const parsed = parseDocument(nodeCrypto, envelope);
    if (!parsed.ok) throw new Error("a grant is no document");
    return stored(parsed.document, "");
  });
  return {
    ...{ format: "xenoservers-receipt-1", lease: po.id, market: market.pins, checkpoint: "", size: 0 },
    ...{ documents: documents.map((document) => stored(document, "5a".repeat(32))), leaves },
  };
}

/** The documents of a move there; `by`: who signs that it takes it over. */
function moved(by: PaperServer): SignedDocument[] {
  const lease = po.id;
  const [acceptance, opening] = documents.slice(1);
  const previous = acceptance!.id;
  const handover = market.sign(server.signer, "handover", { lease, previous, server: server.id, to: by.id, lastClaim: opening!.id });
  const offer = market.offer(by, MACHINES).envelope;
  const takeover = market.sign(by.signer, "takeover", { lease, server: by.id, handover: handover.envelope, offer });
  return [takeover, market.sign(market.orders, "move", { lease, takeover: takeover.envelope, previous, at: START })];
}

beforeEach(() => {
  const random = new Random(9);
  clock = new SimClock(START, random);
  const network = new Network(clock, random);
  market = new PaperMarket(random, START);
  const customer = market.party("carl", SEED);
  owner = market.party("olga");
  [server, other] = [market.server(owner), market.server(owner)];
  client = new PaperClient(market, clock, SEED);
  const channelKey = toHex(client.identity.channelKey.publicKey);
  const order = market.order(customer, { driver: "qemu", terms: "by-interval", channelKey });
  po = market.purchaseOrder(order, server, market.offer(server, MACHINES));
  const acceptance = market.sign(server.signer, "acceptance", { lease: po.id, server: server.id });
  const opening = { lease: po.id, order: order.id, slot: 0, acceptance: acceptance.id, at: START };
  documents = [po, acceptance, market.sign(market.orders, "opening", opening)] as SignedDocument[];
  view = market.view(po);
  client.answers.lease = () => view;
  client.answers.receipt = () => receipt();
  [ends, states, output, answers, others] = [[], [], "", server, []];
  const link = {
    up: true,
    openChannel(): Pipe {
      const [near, far] = network.pair("customer");
      respondChannel(far, answers.channelKey, channelKey, po.id, (channel) => {
        const end = { channel, got: [] as ChannelHeader[] };
        ends.push(end);
        channel.onMessage((header) => void end.got.push(header));
      });
      return near;
    },
  };
  const handlers = {
    onOutput: (_: string, bytes: Uint8Array) => void (output += Buffer.from(bytes).toString()),
    onState: (state: string) => void states.push(state),
  };
  session = new LeaseSession(client, boundIn(client, receipt(), po.id), null, handlers, link);
});
afterEach(() => session.close());

const until = (condition: () => boolean): Promise<void> => clock.runUntil(clock.now() + 60_000, condition);

async function printed(): Promise<void> {
  await until(() => ends.some(({ got }) => got.some(({ t }) => t === "attach")));
  void ends[0]!.channel.send({ t: "output", stream: "stdout", offset: 0 }, utf8("hello"));
  await until(() => output === "hello");
}

describe("a lease that moves", () => {
  it("is followed to the other server's key, and goes on where it was", async () => {
    await printed();
    documents.push(...moved(other));
    [answers, view] = [other, { ...view, server: other.id }];
    await until(() => ends.length > 1 && ends[1]!.got.length > 0);
    expect(states).toContain("moved to another server of its owner");
    expect(ends[1]!.got[0]).toMatchObject({ t: "attach", stdout: 5, stderr: 0 });
    void ends[1]!.channel.send({ t: "output", stream: "stdout", offset: 5 }, utf8(" again"));
    await until(() => output === "hello again");
    expect(session.bound.serving).toEqual({
      ...{ server: other.id, serverKey: other.signer.publicKey, channelKey: toHex(other.channelKey.publicKey) },
    });
  });

  it("is not taken to have moved by the broker's word without a move: the channel stays, and nothing is said", async () => {
    await printed();
    view = { ...view, server: other.id };
    await clock.runUntil(clock.now() + 60_000);
    expect(states).not.toContain("moved to another server of its owner");
    expect(ends).toHaveLength(1);
  });

  it("is not followed to a stranger's server, whatever the broker says: nothing is sent there", async () => {
    await printed();
    const stranger = market.server(market.party("mallory"));
    others = stranger.grants; // as a broker can add them
    documents.push(...moved(stranger));
    [answers, view] = [stranger, { ...view, server: stranger.id }];
    let why: unknown = null;
    void session.failed.then((error) => (why = error));
    await until(() => why !== null);
    expect(why).toMatchObject({ code: "broken_word" });
    expect(String(why)).toContain("against its documents: the takeover is not signed by owner of this lease");
    expect(ends).toHaveLength(1);
  });
});
