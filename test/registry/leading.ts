/** Registries that lead elsewhere. */
import { expect } from "vitest";
import type { Trick } from "./proxy.ts";
import { CARL, HALF, always, bearer, first, layer, shown, type Came, type TrickRow } from "./trick.ts";

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

export const leading: TrickRow[] = [
  ...["?x=1", "../blobs/PART?x=1", "/v2/box/blobs/PART?x=1#part"].map((to): TrickRow => ({
    name: `a way that is told from where one stands: ${to}`,
    trick: always(
      layer(({ path, pass, say }) =>
        path.includes("?") ? pass() : say(307, { location: to.replace("PART", path.split("/").at(-1) ?? "") }),
      ),
    ),
  })),
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
    name: "a top that another machine answers for, which asks for the password",
    trick: (proxy) => (asked) => {
      const isTop = asked.path === "/v2/";
      if (asked.request.headers.host === proxy.elsewhere)
        return asked.say(401, { "www-authenticate": bearer({ ...proxy, host: proxy.elsewhere }) });
      return isTop ? asked.say(302, { location: `http://${proxy.elsewhere}/v2/` }) : asked.say(404);
    },
    login: CARL,
    refused: /has no manifest|is not there|has no /,
    also: (came) => expect(new Set(shownElsewhere(came))).toEqual(new Set([undefined])),
  },
  {
    name: "another machine that leads back: it is shown no password",
    trick: (proxy) => (asked) => {
      const { path: at, request, pass, say } = asked;
      if (request.headers.host === proxy.elsewhere) return say(307, { location: `http://${proxy.host}${at}&back=1` });
      if (at.includes("back=1")) return pass();
      if (request.headers.authorization !== shown) return say(401, { "www-authenticate": "Basic" });
      return asked.kind === "blob" ? say(307, { location: `http://${proxy.elsewhere}${at}?signed=1` }) : pass();
    },
    login: CARL,
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
