/** Registries that want a login, and what they make of one. */
import { expect } from "vitest";
import { LAYER_BYTES, type Asked } from "./proxy.ts";
import { CARL, HALF, SECRET, always, bearer, of, shown, type Came, type TrickRow } from "./trick.ts";

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

/** It says how to log in at its top alone, and of all else this to whoever has not. */
const hiding =
  (status: number, trick: TrickRow["trick"]): TrickRow["trick"] =>
  (proxy) => {
    const guard = trick(proxy);
    return (asked) => {
      const { path, request, say } = asked;
      return path === "/v2/" || path.startsWith("/token") || request.headers.authorization ? guard(asked) : say(status);
    };
  };
const byPassword: TrickRow["trick"] = always(({ request, pass, say }) =>
  request.headers.authorization === shown ? pass() : say(401, { "www-authenticate": 'Basic realm="r"' }),
);

export const guarded: TrickRow[] = [
  ...[401, 403, 404].flatMap((status): TrickRow[] => [
    {
      name: `a registry that asks for a password at its top alone, and says ${status} elsewhere`,
      trick: hiding(status, byPassword),
      login: CARL,
    },
    { name: `one that asks for a token so, and says ${status} elsewhere`, trick: hiding(status, byToken(Infinity)) },
    {
      name: `one that lets nobody in without a password, and says ${status} elsewhere`,
      trick: hiding(status, byPassword),
      refused: /is not there, or not for you: log in with/,
    },
  ]),
  {
    name: "a refusal that says nothing, at its top neither",
    trick: always(({ say }) => say(401)),
    refused: /is not there, or not for you: log in with/,
  },
  {
    name: "a registry that says why it lets nobody in",
    trick: always(of("manifest", ({ say }) => say(403, {}, '{"errors":[{"code":"DENIED","message":"no licence"}]}'))),
    refused: /is not there, or not for you \(no licence\): log in with/,
  },
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
    refused: /where .* has people log in, gives no token: there is none in what it answers/,
  },
  ...[
    ["a page", 200, "<!DOCTYPE html>", /where .* has people log in, gives no token: it gives a page for people/],
    ["nothing", 404, "", /gives no token: it answers 404$/],
    ["no end", 200, Buffer.alloc(2 << 20, "a"), /gives no token: what it answers has no end/],
    [
      "why not, in Docker Hub's words",
      401,
      '{"details":"incorrect username or password"}',
      /not for you \(incorrect username or password\): log in with/,
    ],
    ["why not, in OAuth's", 400, '{"error":"invalid_grant","error_description":"expired"}', /not for you \(expired\): log in with/],
  ].map(([what, status, body, refused]): TrickRow => ({
    name: `a place for tokens that gives ${String(what)}`,
    trick: (proxy) => {
      const guard = byToken(Infinity)(proxy);
      return (asked) => (asked.kind === "token" ? asked.say(Number(status), {}, body as string | Buffer) : guard(asked));
    },
    refused: refused as RegExp,
  })),
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
