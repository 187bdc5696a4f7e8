/** What registries do on a bad day, or on purpose, and what must come of it: the image, whole; or a refusal in words. */
import { gzipSync } from "node:zlib";
import { expect } from "vitest";
import { guarded } from "./guarded.ts";
import { leading } from "./leading.ts";
import { LAYER_BYTES } from "./proxy.ts";
import { HALF, always, first, layer, of, type Came, type TrickRow } from "./trick.ts";

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
    name: "429 that asks for more years than there are",
    trick: always(of("manifest", ({ say }) => say(429, { "retry-after": "9999999999" }))),
    refused: /asks to come again in 9999999999 s/,
    also: ({ waits }) => expect(waits).toEqual([]),
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
    name: "429 for ever, with the registry's own words for it",
    trick: always(of("manifest", ({ say }) => say(429, {}, '{"errors":[{"code":"TOOMANYREQUESTS","message":"pull rate limit"}]}'))),
    refused: /has had too many requests \(429\) \(pull rate limit\), 7 times in a row/,
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
    name: "a manifest that drips once",
    trick: always(
      of(
        "manifest",
        first(1, ({ drip }) => drip(10)),
      ),
    ),
  },
  {
    name: "a manifest that drips for ever",
    trick: always(of("manifest", ({ drip }) => drip(10))),
    refused: /the manifest of .* cannot be had: .* sends almost nothing, 7 times in a row/,
  },
  {
    name: "a layer that drips goes on where it was",
    trick: always(layer(first(2, ({ drip }) => drip(10)))),
    also: (came) => expect(rangesOf(came)).toEqual([undefined, "bytes=10-", "bytes=20-"]),
  },
  {
    name: "a layer that drips for ever, and comes on each time",
    trick: always(layer(({ drip }) => drip(10))),
    refused: /a layer of .* cannot be had: .* sends almost nothing, 7 times in a row/,
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
  ...[400, 403, 404, 405, 501].map((status): TrickRow => ({
    name: `a server that says ${status} to whoever asks for a piece (kubernetes/registry.k8s.io 333)`,
    trick: always(layer((asked) => (asked.from > 0 ? asked.say(status) : asked.times === 1 ? asked.cut(HALF) : asked.pass()))),
    also: (came) => expect(rangesOf(came)).toEqual([undefined, `bytes=${HALF}-`, undefined]),
  })),
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
  {
    name: "a layer that somebody packs on the way, unasked",
    trick: always(layer(({ say, bytes }) => say(200, { "content-encoding": "gzip" }, gzipSync(bytes)))),
  },
  {
    name: "a layer that is packed on the way, and cut: it begins anew",
    trick: always(
      layer(({ say, bytes, times }) => {
        const packed = gzipSync(bytes);
        say(200, { "content-encoding": "gzip" }, times === 1 ? packed.subarray(0, HALF) : packed);
      }),
    ),
  },
  {
    name: "a manifest that somebody packs on the way",
    trick: always(of("manifest", ({ say, bytes }) => say(200, { "content-encoding": "gzip" }, gzipSync(bytes)))),
  },
  {
    name: "a manifest that unpacks to more than any has",
    trick: always(of("manifest", ({ say }) => say(200, { "content-encoding": "gzip" }, gzipSync(Buffer.alloc(8 << 20, " "))))),
    refused: /is larger than any is/,
  },
  {
    name: "a page to log in where the manifest should be",
    trick: always(of("manifest", ({ say }) => say(200, { "content-type": "text/html" }, "\n<!DOCTYPE html><html>"))),
    refused: /gives a page for people where the manifest of .* should be; check its name, and your connection/,
  },
  {
    name: "a page to log in where a layer should be is not asked for again",
    trick: always(layer(({ say }) => say(200, { "content-type": "text/html" }, "<html>log in</html>"))),
    refused: /gives a page for people where sha256:.* should be/,
    also: (came) => expect(rangesOf(came)).toHaveLength(1),
  },
  {
    name: "a layer that is smaller than its manifest says is not asked for again",
    trick: always(
      of("manifest", ({ say, bytes }) => say(200, {}, String(bytes).replaceAll(`"size":${LAYER_BYTES}`, `"size":${LAYER_BYTES + 1}`))),
    ),
    refused: /is smaller than its manifest says/,
    also: (came) => expect(rangesOf(came)).toHaveLength(1),
  },
  {
    name: "a length that ends before the layer does",
    trick: always(
      layer(
        first(1, ({ response, bytes }) => {
          response.socket?.write(`HTTP/1.1 200 OK\r\ncontent-length: ${bytes.length - 10}\r\n\r\n`);
          response.socket?.end(bytes);
        }),
      ),
    ),
  },
  {
    name: "a length that ends after the layer does",
    trick: always(
      layer(({ response, bytes }) => {
        response.writeHead(200, { "content-length": bytes.length + 10 });
        response.write(bytes, () => response.socket?.end());
      }),
    ),
  },
  {
    name: "a digest in the answer's head that is another's: the manifest's own bytes count",
    trick: always(of("manifest", ({ say, bytes }) => say(200, { "docker-content-digest": `sha256:${"0".repeat(64)}` }, bytes))),
  },
  { name: "a long head", trick: always(({ response, pass }) => (response.setHeader("x-policy", "a".repeat(100_000)), pass())) },
  { name: "lines that are reset, at each question", trick: always(first(2, ({ response }) => response.socket?.resetAndDestroy())) },
  { name: "words ahead of the answer (103)", trick: always(({ response, pass }) => (response.writeEarlyHints({ link: "</x>" }), pass())) },
  {
    name: "a layer in parts, none of which was asked for",
    trick: always(
      layer(({ say, bytes, from }) => {
        const end = Math.min(from + HALF, LAYER_BYTES);
        say(206, { "content-range": `bytes ${from}-${end - 1}/${LAYER_BYTES}` }, bytes.subarray(from, end));
      }),
    ),
  },
  {
    name: "a layer of an old server: no length, and the end of the line for an end",
    trick: always(
      layer(({ response, bytes }) => {
        response.socket?.write("HTTP/1.0 200 OK\r\n\r\n");
        response.socket?.end(bytes);
      }),
    ),
  },
  { name: "a layer that is not there", trick: always(layer(({ say }) => say(404))), refused: /has no sha256:/ },
];

export const TRICKS: readonly TrickRow[] = [...busy, ...broken, ...guarded, ...leading];
