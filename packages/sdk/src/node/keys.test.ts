/** A program that rotates its root key, against a broker on paper that loses answers, and comes to what it was sent when it likes. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { ROLE_SCOPES } from "@xenoservers/market";
import { isOfKind, refuse, type AnyDocument } from "@xenoservers/protocol";
import { PaperMarket, Random } from "@xenoservers/testkit";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { PaperBroker } from "../../../../test/support/paper-broker.ts";
import { MarketClient } from "../client.ts";
import { RefusedError } from "../errors.ts";
import { channelKeyFor, identityOf } from "../identity.ts";
import { clientOf, readContexts, saveContext, type Context } from "./contexts.ts";
import { Market } from "./market.ts";

const SEED = "3".repeat(64);
const keyOf = ({ seed }: Pick<Context, "seed">): string => identityOf(Buffer.from(seed, "hex")).signer.publicKey;

let folder: string;
let paper: PaperMarket;
let broker: PaperBroker;
let context: Context;
let market: Market;
/** The party's root key, as the broker knows it. */
let root: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-keys-"));
  vi.stubEnv("XENO_HOME", folder);
  paper = new PaperMarket(new Random(4), Date.now());
  broker = await PaperBroker.start(paper);
  const { party, account } = identityOf(Buffer.from(SEED, "hex"));
  context = {
    ...{ url: broker.url, pins: paper.pins, currency: "credits", party, account, role: "root", scopes: [...ROLE_SCOPES.root] },
    ...{ label: "carl", leaseLabel: null, seed: SEED },
  };
  await saveContext("m", context);
  root = keyOf(context);
  broker.answer = answered;
  vi.spyOn(MarketClient.prototype, "sleep").mockResolvedValue();
  const read = MarketClient.prototype.read;
  vi.spyOn(MarketClient.prototype, "read").mockImplementation(async function (this: MarketClient, name, request) {
    if (name !== "whoami") return read.call(this, name, request) as never;
    if (this.identity.signer.publicKey !== root) throw new RefusedError(refuse("unknown_key"));
    return { keys: [] } as never;
  });
  market = await Market.connect();
});
afterEach(async () => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  broker.close();
  await rm(folder, { recursive: true, force: true });
});

const takenIds = new Set<string>();
function answered(document: AnyDocument): ReturnType<PaperBroker["answer"]> {
  if (!isOfKind(document, "key-rotate") || takenIds.has(document.id)) return { ok: true, answer: {} };
  if (document.keyid !== root) return refuse("key_revoked");
  takenIds.add(document.id);
  root = document.payload.newRootKey;
  return { ok: true, answer: {} };
}

const kept = async (): Promise<Record<string, Context>> => (await readContexts()).contexts;
const sent = (): string[] => broker.filed.filter(({ kind }) => kind === "key-rotate").map(({ id }) => id);

describe("rotate", () => {
  it("leaves a context, and a market, that speak by the new key and open what the old ones ordered", async () => {
    const { channelKey } = market.client.identity;
    const first = await market.keys.rotate();
    const second = await market.keys.rotate();
    expect([second, second.key === first.key]).toEqual([{ key: root, name: "m" }, false]);
    expect(market.client.identity.signer.publicKey).toBe(root);
    expect(Object.keys(await kept())).toEqual(["m"]);
    const { identity } = clientOf((await kept())["m"]!, () => {});
    expect([identity.signer.publicKey, identity.formerChannelKeys.length]).toEqual([root, 2]);
    expect(channelKeyFor(identity, Buffer.from(channelKey.publicKey).toString("hex"))).not.toBe(null);
  });

  it("that is refused changes nothing", async () => {
    broker.answer = () => refuse("suspended");
    await expect(market.keys.rotate()).rejects.toMatchObject({ code: "suspended", money: "none" });
    expect(await readContexts()).toEqual({ current: "m", contexts: { m: context } });
  });

  const refused = () => refuse("suspended");
  const lost = () => refuse("unavailable");
  const takenAndLost = (document: AnyDocument) => (answered(document), refuse("unavailable"));
  const takenAndBroken = (document: AnyDocument) => (answered(document), refuse("internal"));
  /** Comes to it when the next one is there. */
  let waiting: AnyDocument | null = null;
  const late = (document: AnyDocument) => ((waiting = document), refuse("too_slow"));
  const ways = { refused, lost, takenAndLost, takenAndBroken, late };
  const names = Object.keys(ways) as (keyof typeof ways)[];

  it.each(names.flatMap((one) => names.map((two) => [one, two] as const)))(
    "%s, then %s, loses no key that the broker may know",
    async (...both) => {
      waiting = null;
      for (const way of both) {
        broker.answer = (document) => {
          if (waiting && waiting.id !== document.id) answered(waiting);
          return ways[way](document);
        };
        await market.keys.rotate().catch((error: unknown) => expect(error).toBeInstanceOf(RefusedError));
        expect(Object.values(await kept()).map(keyOf)).toContain(root);
      }
      broker.answer = (document) => {
        if (waiting) answered(waiting);
        return answered(document);
      };
      // nobody remembers anything but what lies on the disk
      market = await Market.connect();
      expect((await market.keys.rotate()).key).toBe(root);
      expect(Object.entries(await kept()).map(([name, each]) => [name, keyOf(each)])).toEqual([["m", root]]);
    },
  );

  it("says what to do where nobody answers: what was sent may have been taken", async () => {
    broker.answer = lost;
    const words = expect.stringContaining("again, it goes on from here");
    await expect(market.keys.rotate()).rejects.toMatchObject({ code: "unavailable", money: "unknown", retryable: true, message: words });
    expect((await readContexts()).current).toBe("m");
  });

  it("twice at once is one after the other", async () => {
    const other = await Market.connect();
    const keys = await Promise.all([market.keys.rotate(), other.keys.rotate()]);
    expect(keys.map(({ key }) => key)).toContain(root);
    expect([sent().length, keyOf((await kept())["m"]!), Object.keys(await kept())]).toEqual([2, root, ["m"]]);
  });

  it("is called off until its key is on its way", async () => {
    await expect(market.keys.rotate({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "aborted" });
    expect([sent(), await kept()]).toEqual([[], { m: context }]);
    const late = new AbortController();
    broker.answer = (document) => (late.abort(), answered(document));
    expect((await market.keys.rotate({ signal: late.signal })).key).toBe(root);
    expect(keyOf((await kept())["m"]!)).toBe(root);
  });

  it("takes no place of another context", async () => {
    const others = { ...context, party: `p_${"b".repeat(40)}`, seed: "4".repeat(64) };
    await saveContext("m.next", others, { current: "m" });
    await expect(market.keys.rotate()).rejects.toMatchObject({ code: "no_context" });
    expect([sent(), (await kept())["m.next"]]).toEqual([[], others]);
  });

  it("is for root keys that are kept here", async () => {
    await expect(Market.of(market.client).keys.rotate()).rejects.toMatchObject({ code: "no_context" });
    await saveContext("d", { ...context, role: "device", seed: "5".repeat(64) });
    const device = await Market.connect({ context: "d" });
    await expect(device.keys.rotate()).rejects.toThrow("the device key is no root key");
    expect(sent()).toEqual([]);
  });
});
