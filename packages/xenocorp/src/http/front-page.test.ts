/** The page at the broker's address: what it shows, that nobody writes into it, and that many readers cost little. */
import { createHash } from "node:crypto";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { formatMoney } from "@xenoservers/market";
import { fingerprintOf, type OfferView } from "@xenoservers/protocol";
import { pinsOf, type MarketInfo } from "@xenoservers/protocol/link";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { escaped, frontPageHtml } from "./front-page-html.ts";
import { World } from "./world.fixture.ts";

let world: World;
beforeEach(async () => {
  world = new World();
  world.trustProxy = ["127.0.0.1"];
  await world.start();
});
afterEach(() => world.close());

const read = async (headers: Record<string, string> = {}): Promise<string> =>
  (await world.app.inject({ url: "/", headers: { host: "127.0.0.1:7400", ...headers } })).body;
const market = async (): Promise<MarketInfo> => (await world.app.inject("/api/v1/market")).json<MarketInfo>();
const offers = async (): Promise<OfferView[]> => (await world.app.inject("/api/v1/offers")).json<{ offers: OfferView[] }>().offers;

it("shows which market it is, whom it has to offer, and how to take part", async () => {
  expect(await read()).toContain("No server has room now");
  await world.close();
  world = new World();
  await world.start();
  const server = await world.server(await world.party());
  const kept = await world.server(await world.party(), { allowedParties: [(await world.party()).id] });
  const page = await read();
  expect(page).toContain(fingerprintOf(nodeCrypto, pinsOf(await market())));
  expect(page).toContain(server.id.slice(0, 12));
  expect(page).not.toContain(kept.id.slice(0, 12));
  const [offer] = await offers();
  expect(page).toContain(`${formatMoney(BigInt(offer!.priceNanosPerHour))} ${(await market()).currency}`);
  expect(page).toContain("npx xenoservers login http://127.0.0.1:7400\n");
});

it("is one document that runs nothing and brings nothing from elsewhere", async () => {
  const answer = await world.app.inject("/");
  expect(answer.statusCode).toBe(200);
  expect(answer.headers["content-type"]).toBe("text/html; charset=utf-8");
  const style = /<style>([^]*)<\/style>/.exec(answer.body)?.[1] ?? "";
  const hash = createHash("sha256").update(style).digest("base64");
  expect(answer.headers["content-security-policy"]).toBe(
    `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  );
  expect(answer.body).not.toMatch(/<script|<img|<link|style="|https?:\/\/(?!localhost)/);
});

it("names the address that its reader typed, and none that a browser could not have", async () => {
  expect(await read({ host: "market.example" })).toContain("login http://market.example\n");
  // of a named proxy, which ends TLS
  expect(await read({ host: "market.example", "x-forwarded-proto": "https" })).toContain("login https://market.example\n");
  expect(await read({ host: "[::1]:7400" })).toContain("login http://[::1]:7400\n");
  for (const host of ['a"onload=x', "<b>", "a b", "a/../b", "a;rm -rf ~", "$(reboot)", "`reboot`"])
    expect(await read({ host }), host).toContain("login ADDRESS\n");
});

it("takes a header's word for its scheme from a named proxy alone", async () => {
  await world.close();
  world = new World();
  await world.start();
  expect(await read({ "x-forwarded-proto": "https" })).toContain("login http://127.0.0.1:7400\n");
});

it("shows what others chose as text", async () => {
  expect(escaped(`<b onclick='x'>&"\u202E\n`)).toBe("&lt;b onclick=&#39;x&#39;&gt;&amp;&quot;\\u202e\\n");
  const bad = `"><script>alert(1)</script>`;
  await world.server(await world.party());
  const [offer] = await offers();
  const info = await market();
  const page = frontPageHtml(
    {
      market: { ...info, origin: bad, currency: bad, log: { ...info.log, root: bad }, witnesses: [{ name: bad, key: bad }] },
      fingerprint: bad,
      offers: [{ ...offer!, server: bad, drivers: [bad], assurances: [bad] }],
    },
    bad,
  );
  expect(page).not.toContain("<script");
});

it("is looked up once for all who read it within some seconds", async () => {
  const all = vi.spyOn(world.services.index, "all");
  await Promise.all(Array.from({ length: 20 }, () => read()));
  const once = all.mock.calls.length;
  expect(once).toBeGreaterThan(0);
  await read();
  expect(all.mock.calls.length).toBe(once);
});

it("is looked up again after a failure, which its reader is told", async () => {
  vi.spyOn(world.services.index, "all").mockImplementationOnce(() => {
    throw new Error("gone");
  });
  const first = await world.app.inject("/");
  expect(first.statusCode).toBe(500);
  expect(world.faults).toMatchObject([{ what: "the front page could not be made" }]);
  expect(await read()).toContain("A market for computers");
});
