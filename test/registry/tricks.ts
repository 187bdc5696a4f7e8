/** What registries do on a bad day, or on purpose, and what must come of it: the image, whole; or a refusal in words. */
import { expect } from "vitest";
import { LAYER_BYTES, type Asked, type Proxy, type Trick } from "./proxy.ts";

export interface Came {
  /** What was waited, in ms. */
  waits: number[];
  proxy: Proxy;
  layers: readonly string[];
}

export interface TrickRow {
  name: string;
  trick(proxy: Proxy): Trick;
  /** The refusal, in words; without one, the whole image. */
  refused?: RegExp;
  /** With what login; without one, as anybody. */
  login?: { auth: string } | { identitytoken: string };
  also?(came: Came): void;
}

const HALF = LAYER_BYTES / 2;
const always = (trick: Trick) => (): Trick => trick;
const of =
  (kind: Asked["kind"], trick: Trick): Trick =>
  (asked) =>
    asked.kind === kind ? trick(asked) : asked.pass();
/** The first questions for each path, so many of them. */
const first =
  (times: number, trick: Trick): Trick =>
  (asked) =>
    asked.times <= times ? trick(asked) : asked.pass();
/** Of large blobs; the configuration is small. */
const layer = (trick: Trick): Trick => of("blob", (asked) => (asked.bytes.length === LAYER_BYTES ? trick(asked) : asked.pass()));
const rangesOf = ({ proxy, layers }: Came): (string | undefined)[] =>
  proxy.log.filter(({ path }) => path.endsWith(layers[0] ?? "")).map(({ range }) => range);

const busy: TrickRow[] = [
  {
    name: "429 with Retry-After in seconds is waited for",
    trick: always(
      of(
        "manifest",
        first(1, ({ say }) => say(429, { "retry-after": "7" })),
      ),
    ),
    also: ({ waits }) => expect(waits.some((ms) => ms >= 7_000 && ms < 8_000)).toBe(true),
  },
  {
    name: "429 with Retry-After as a date",
    trick: always(layer(first(1, ({ say }) => say(429, { "retry-after": new Date(Date.now() + 60_000).toUTCString() })))),
    also: ({ waits }) => expect(waits.filter((ms) => ms > 1_000 && ms < 62_000)).toHaveLength(2),
  },
  {
    name: "429 that asks for an hour",
    trick: always(of("manifest", ({ say }) => say(429, { "retry-after": "3600" }))),
    refused: /too many requests \(429\), and asks to come again in 3600 s/,
    also: ({ waits }) => expect(waits).toEqual([]),
  },
  {
    name: "503, 502, 500, 504 a few times, each wait longer than the last",
    trick: always(first(4, ({ say, times }) => say([503, 502, 500, 504][times - 1] ?? 503))),
    also: ({ waits }) => expect(waits.slice(0, 4)).toEqual(waits.slice(0, 4).toSorted((a, b) => a - b)),
  },
  {
    name: "429 that asks for no wait at all is not asked again at once",
    trick: always(
      of(
        "manifest",
        first(4, ({ say }) => say(429, { "retry-after": "0" })),
      ),
    ),
    also: ({ waits }) => expect(waits.slice(0, 4).every((ms, i) => ms >= 250 * 2 ** i)).toBe(true),
  },
  {
    name: "503 for ever",
    trick: always(of("manifest", ({ say }) => say(503))),
    refused: /the manifest of .* cannot be had: .* answers 503, 7 times in a row: try later/,
    also: ({ proxy }) => expect(proxy.log).toHaveLength(7),
  },
  { name: "connections that are cut before an answer", trick: always(first(2, ({ response }) => response.socket?.destroy())) },
  { name: "answers that are none", trick: always(first(2, ({ response }) => response.socket?.end("SSH-2.0-no registry\r\n"))) },
  {
    name: "no answer at all",
    trick: always(
      of(
        "manifest",
        first(1, ({ stall }) => stall(0)),
      ),
    ),
  },
  {
    name: "an error in the registry's own words, of which a terminal obeys none",
    trick: always(of("manifest", ({ say }) => say(400, {}, '{"errors":[{"code":"X","message":"no \\u001b[31msuch\\nthing"}]}'))),
    refused: /answers 400 for latest \(no \\u001b\[31msuch\\nthing\)/,
  },
];

const broken: TrickRow[] = [
  {
    name: "a layer that is cut in its middle goes on there",
    trick: always(layer(first(1, ({ cut }) => cut(HALF)))),
    also: (came) => expect(rangesOf(came)).toEqual([undefined, `bytes=${HALF}-`]),
  },
  {
    name: "a layer that is cut again and again, and comes on each time",
    trick: always(layer(({ cut }) => cut(LAYER_BYTES / 20))),
    also: (came) => expect(rangesOf(came)).toHaveLength(20),
  },
  {
    name: "a layer that is cut at the same place for ever",
    trick: always(layer(({ from, cut }) => cut(Math.max(0, HALF - from)))),
    refused: /a layer of .* cannot be had: .*, 7 times in a row/,
  },
  {
    name: "a layer that stalls goes on where it stopped",
    trick: always(layer(first(1, ({ stall }) => stall(HALF)))),
    also: (came) => expect(rangesOf(came)).toEqual([undefined, `bytes=${HALF}-`]),
  },
  {
    name: "a server that gives the whole, whatever piece is asked for",
    trick: always(layer((asked) => (asked.times === 1 ? asked.cut(HALF) : asked.say(200, {}, asked.bytes)))),
  },
  {
    name: "a server without pieces: 416",
    trick: always(layer((asked) => (asked.from > 0 ? asked.say(416) : asked.times === 1 ? asked.cut(HALF) : asked.pass()))),
    also: (came) => expect(rangesOf(came)).toEqual([undefined, `bytes=${HALF}-`, undefined]),
  },
  {
    name: "a server that gives another piece than was asked for",
    trick: always(
      layer((asked) => {
        if (asked.times === 1) return asked.cut(HALF);
        if (asked.from === 0) return asked.pass();
        return asked.say(206, { "content-range": `bytes 0-9/${LAYER_BYTES}` }, asked.bytes.subarray(0, 10));
      }),
    ),
  },
  {
    name: "a piece of another blob: what was put together is asked for once more, whole",
    trick: always(
      layer((asked) => {
        if (asked.times === 1) return asked.cut(HALF);
        if (asked.from === 0) return asked.pass();
        const range = `bytes ${asked.from}-${LAYER_BYTES - 1}/${LAYER_BYTES}`;
        return asked.say(206, { "content-range": range }, Buffer.alloc(LAYER_BYTES - asked.from, 7));
      }),
    ),
    also: (came) => expect(rangesOf(came)).toEqual([undefined, `bytes=${HALF}-`, undefined]),
  },
  {
    name: "an answer that ends too soon and says that it is whole",
    trick: always(layer(first(1, ({ say, bytes }) => say(200, {}, bytes.subarray(0, HALF))))),
  },
  {
    name: "more than the manifest says",
    trick: always(layer(({ say, bytes }) => say(200, {}, Buffer.concat([bytes, bytes])))),
    refused: /is larger than its manifest says/,
  },
  {
    name: "other bytes than were asked for",
    trick: always(layer(({ say, bytes }) => say(200, {}, Buffer.alloc(bytes.length, 1)))),
    refused: /does not have the digest that its manifest states/,
  },
  {
    name: "a layer of gzip's that is called packed for the way: its bytes are what they are",
    trick: always(layer(({ say, bytes }) => say(200, { "content-encoding": "gzip" }, bytes))),
  },
  { name: "a layer that is not there", trick: always(layer(({ say }) => say(404))), refused: /has no sha256:/ },
];

export const SECRET = "se:cret";
const CARL = { auth: Buffer.from(`carl:${SECRET}`).toString("base64") };
const shown = `Basic ${CARL.auth}`;
const bearer = ({ host }: Proxy, more = ""): string =>
  `Bearer realm="http://${host}/token",service="test",scope="repository:box:pull"${more}`;
/** A registry whose tokens are good for so many questions; `answer`: what a token server says. */
function byToken(good: number, answer = (token: string): object => ({ token }), challenge = bearer): TrickRow["trick"] {
  return (proxy) => {
    const left = new Map<string, number>();
    return (asked) => {
      if (asked.kind === "token") {
        const token = `t${left.size}`;
        left.set(token, good);
        return asked.say(200, {}, JSON.stringify(answer(token)));
      }
      const token = (asked.request.headers.authorization ?? "").replace("Bearer ", "");
      const uses = left.get(token) ?? 0;
      left.set(token, uses - 1);
      return uses > 0 ? asked.pass() : asked.say(401, { "www-authenticate": challenge(proxy) });
    };
  };
}
const shownTo = ({ proxy: { log } }: Came, kind: Asked["kind"]): (string | undefined)[] => [
  ...new Set(log.filter((each) => each.kind === kind).map(({ authorization }) => authorization)),
];

const guarded: TrickRow[] = [
  {
    name: "a token for anybody",
    trick: byToken(Infinity),
    also: (came) => expect(shownTo(came, "token")).toEqual([undefined]),
  },
  {
    name: "a token by its other name, that says nothing of how long it holds",
    trick: byToken(Infinity, (token) => ({ access_token: token })),
  },
  { name: "a token with an empty other one", trick: byToken(Infinity, (token) => ({ token: "", access_token: token, expires_in: null })) },
  {
    name: "a token that is good for one question",
    trick: byToken(1),
    also: ({ proxy }) => expect(proxy.log.filter(({ kind }) => kind === "token").length).toBeGreaterThan(3),
  },
  {
    name: "a token that ends in the middle of a layer",
    trick: (proxy) => {
      const guard = byToken(4)(proxy);
      return (asked) => {
        const { times, kind, bytes } = asked;
        const cuts = kind === "blob" && bytes.length === LAYER_BYTES && times <= 2;
        return guard(cuts ? { ...asked, pass: () => asked.cut(HALF / 2) } : asked);
      };
    },
  },
  {
    name: "a registry that asks for another token once it has seen the first",
    trick: (proxy) => {
      let tokens = 0;
      return (asked) => {
        if (asked.kind === "token") return asked.say(200, {}, JSON.stringify({ token: `t${++tokens}` }));
        if (asked.request.headers.authorization === "Bearer t2") return asked.pass();
        return asked.say(401, { "www-authenticate": bearer(proxy, ',error="insufficient_scope"') });
      };
    },
  },
  {
    name: "a registry that lets nobody in, whatever is shown",
    trick: byToken(0),
    refused: /is not there, or not for you: log in with `docker login/,
    also: ({ proxy }) => expect(proxy.log.filter(({ kind }) => kind === "token")).toHaveLength(3),
  },
  {
    name: "a place for tokens that has a bad moment of its own",
    trick: (proxy) => {
      const guard = byToken(Infinity)(proxy);
      return (asked) => (asked.kind === "token" && asked.times === 1 ? asked.say(429, { "retry-after": "1" }) : guard(asked));
    },
  },
  {
    name: "two ways to log in, in one header: a token is asked for",
    trick: byToken(Infinity, undefined, (proxy) => `Basic realm="a, b", ${bearer(proxy)}`),
    login: CARL,
    also: (came) => {
      expect(shownTo(came, "token")).toEqual([shown]);
      expect(shownTo(came, "manifest")).not.toContain(shown);
    },
  },
  {
    name: "a password where no token is given, and the registry takes it",
    trick: (proxy) => (asked) => {
      if (asked.kind === "token") return asked.say(401);
      if (asked.request.headers.authorization === shown) return asked.pass();
      return asked.say(401, { "www-authenticate": `${bearer(proxy)}, Basic realm=x` });
    },
    login: CARL,
  },
  {
    name: "a token that others are given for, in a form and not in an address",
    trick: byToken(Infinity),
    login: { identitytoken: SECRET },
    also: ({ proxy }) => {
      const asked = proxy.log.filter(({ kind }) => kind === "token");
      expect(asked.map(({ path, body }) => [path, Object.fromEntries(new URLSearchParams(body))])).toEqual([
        [
          "/token",
          { grant_type: "refresh_token", refresh_token: SECRET, client_id: "xenoservers", service: "test", scope: "repository:box:pull" },
        ],
      ]);
    },
  },
  {
    name: "a place for tokens that is named, and nothing else",
    trick: byToken(Infinity, undefined, ({ host }) => `Bearer realm="http://${host}/token"`),
    also: ({ proxy }) => expect(proxy.log.find(({ kind }) => kind === "token")?.path).toBe("/token?scope=repository%3Abox%3Apull"),
  },
  {
    name: "a registry that gives a token, and wants the password after all",
    trick: (proxy) => (asked) => {
      if (asked.kind === "token") return asked.say(200, {}, '{"token":"t"}');
      const { authorization } = asked.request.headers;
      if (authorization === shown) return asked.pass();
      return asked.say(401, { "www-authenticate": authorization === "Bearer t" ? 'Basic realm="harbor"' : bearer(proxy) });
    },
    login: CARL,
  },
  {
    name: "a token that no header can hold",
    trick: byToken(Infinity, () => ({ token: "t\r\nx-more: 1" })),
    refused: /is not there, or not for you/,
  },
  {
    name: "a password that is not liked is shown once",
    trick: always(({ say }) => say(401, { "www-authenticate": "Basic" })),
    login: CARL,
    refused: /the login that is here does not open it/,
    also: ({ proxy }) => expect(proxy.log.map(({ authorization }) => authorization)).toEqual([undefined, shown]),
  },
  {
    name: "a way to log in that nobody knows",
    trick: always(({ say }) => say(401, { "www-authenticate": "Negotiate YWJj==" })),
    refused: /asks for a way to log in that is not known here/,
  },
  {
    name: "a place to log in that is not encrypted, on another machine",
    trick: always(({ say }) => say(401, { "www-authenticate": 'Bearer realm="http://login.example/token"' })),
    login: CARL,
    refused: /asks to log in without encryption/,
  },
];

const elsewhere =
  (then: Trick): TrickRow["trick"] =>
  ({ elsewhere: other }) =>
  (asked) => {
    if (asked.request.headers.host === other) return then(asked);
    if (asked.kind !== "blob")
      return asked.request.headers.authorization === shown ? asked.pass() : asked.say(401, { "www-authenticate": "Basic" });
    return asked.say(307, { location: `http://${other}${asked.path}?signed=by-the-registry` });
  };
const shownElsewhere = ({ proxy }: Came): unknown[] =>
  proxy.log.filter(({ host }) => host === proxy.elsewhere).map((each) => each.authorization);

const leading: TrickRow[] = [
  {
    name: "layers on another machine, which is shown no password",
    trick: elsewhere(({ pass }) => pass()),
    login: CARL,
    also: (came) => expect(new Set(shownElsewhere(came))).toEqual(new Set([undefined])),
  },
  { name: "a way there that was good for a moment only", trick: elsewhere(first(1, ({ say }) => say(403))), login: CARL },
  {
    name: "a way there that is not good any more when a layer is to go on",
    trick: elsewhere(
      layer((asked) => (asked.times === 1 ? asked.cut(HALF) : asked.times === 2 ? asked.say(400, {}, "<Error/>") : asked.pass())),
    ),
    login: CARL,
  },
  {
    name: "layers that go on where they broke off, also there",
    trick: elsewhere(layer(first(1, ({ cut }) => cut(HALF)))),
    login: CARL,
    also: ({ proxy }) =>
      expect(proxy.log.filter(({ host, range }) => host === proxy.elsewhere && range === `bytes=${HALF}-`)).toHaveLength(2),
  },
  {
    name: "another machine that asks for the password, also by a place of its own",
    trick: (proxy) =>
      elsewhere(({ say }) => say(401, { "www-authenticate": `Basic, ${bearer({ ...proxy, host: proxy.elsewhere })}` }))(proxy),
    login: CARL,
    refused: /where .* leads, answers 401/,
    also: (came) => expect(new Set(shownElsewhere(came))).toEqual(new Set([undefined])),
  },
  {
    name: "a way without an end",
    trick: always(({ say, path }) => say(302, { location: path })),
    refused: /leads from one place to another without end/,
  },
  {
    name: "a way out of encryption",
    trick: always(({ say }) => say(302, { location: "http://elsewhere.example/box" })),
    refused: /leads to elsewhere.example without encryption, or by another protocol/,
  },
  { name: "a way to nowhere", trick: always(({ say }) => say(302, { location: "http://[" })), refused: /leads to a place that is none/ },
];

export const TRICKS: readonly TrickRow[] = [...busy, ...broken, ...guarded, ...leading];
