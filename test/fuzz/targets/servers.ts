/** Programs that listen: the broker's HTTP and links, spoken to in raw bytes; the control socket of a data folder; what is typed. */
import { mkdtempSync } from "node:fs";
import type { Server } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { duplexPair } from "node:stream";
import { CommanderError } from "commander";
import { z } from "zod";
import { API, isErrorCode, jsonIn, parseRefusal, refusalBody, refuse } from "@xenoservers/protocol";
import { ownFolder } from "../../../packages/cli/src/local/local-socket.ts";
import { readTyped, type Input } from "../../../packages/cli/src/input/verb.ts";
import { describeRefusal } from "../../../packages/cli/src/output/ui.ts";
import { InputError } from "../../../packages/sdk/src/errors.ts";
import { World } from "../../../packages/xenocorp/src/http/world.fixture.ts";
import type { Random } from "../../../packages/testkit/src/random.ts";
import { bentBytes } from "../mutate/bytes.ts";
import { bentJson } from "../mutate/json.ts";
import { bentLine, bentText } from "../mutate/text.ts";
import { ACCEPTED, REFUSED, byThrowing, bytesOf, demand, textOf, type Target } from "../target.ts";

let broker: Promise<Server> | null = null;
async function started(): Promise<Server> {
  const world = new World();
  await world.start();
  return world.app.server;
}
const brokerServer = (): Promise<Server> => (broker ??= started());

/** Everything that comes back until the other end has said all. The connection is one within this program: the kernel is not played. */
function said(server: Server, bytes: Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const [own, other] = duplexPair();
    const parts: Buffer[] = [];
    own.on("data", (part: Buffer) => parts.push(part));
    own.on("error", reject);
    // what the other end said last may still be on its way
    other.on("close", () => setImmediate(() => resolve(Buffer.concat(parts))));
    server.emit("connection", Object.assign(other, { remoteAddress: "127.0.0.1" }));
    own.write(bytes);
    // an end that comes with the last byte has a server hang up before it answers
    own.once("data", () => own.end());
    setImmediate(() => setImmediate(() => setImmediate(() => own.end())));
  });
}

const ENVELOPE = JSON.stringify({
  payloadType: "application/vnd.xenoservers.party.v1+json",
  payload: "e30=",
  signatures: [{ keyid: "ab".repeat(32), sig: `${"A".repeat(86)}==` }],
});
const TOKEN = `p_${"0".repeat(40)}.${"ab".repeat(32)}.99999999999999.${"00".repeat(32)}`;

/** One request to each route, with what each may carry. */
function requests(): string[] {
  return Object.values(API).flatMap(({ method, path: url }) => {
    const at = url.replaceAll(/:\w+/g, "ab".repeat(32));
    const body = method === "GET" ? "" : ENVELOPE;
    const type = body === "" ? "" : `content-type: application/json\r\ncontent-length: ${body.length}\r\n`;
    const head = `host: localhost\r\nconnection: close\r\n${type}`;
    return [
      `${method} ${at}?after=1&limit=10 HTTP/1.1\r\n${head}\r\n${body}`,
      `${method} ${at} HTTP/1.1\r\nauthorization: Bearer ${TOKEN}\r\n${head}\r\n${body}`,
    ];
  });
}

/** Line by line, or as bytes; a length that was right is made right again now and then. */
function bentRequest(input: Uint8Array, random: Random, others: readonly Uint8Array[]): Uint8Array {
  if (random.chance(0.3)) return bentBytes(input, random, others);
  const [head = "", body = ""] = textOf(input).split("\r\n\r\n");
  const lines = head.split("\r\n");
  for (let left = random.between(1, 2); left > 0; left--) {
    const at = random.chance(0.5) ? 0 : random.between(0, lines.length - 1);
    lines[at] = bentText(lines[at] ?? "", random);
  }
  const bent = random.chance(0.5) && body !== "" ? textOf(bentJson(bytesOf(body), random, [bytesOf(ENVELOPE)])) : body;
  const sized = random.chance(0.8)
    ? lines.map((line) => (line.startsWith("content-length:") ? `content-length: ${Buffer.byteLength(bent)}` : line))
    : lines;
  return bytesOf(`${sized.join("\r\n")}\r\n\r\n${bent}`);
}

/** A refusal has the code that the API table knows, on every path. */
function checkAnswer(answer: string): string {
  const [, status = ""] = /^HTTP\/1\.1 (\d{3}) /.exec(answer) ?? [];
  demand(status !== "", "an answer is no HTTP");
  demand(!status.startsWith("5"), `the broker answers ${status}`);
  if (Number(status) < 400) return ACCEPTED;
  const body = answer.slice(answer.indexOf("\r\n\r\n") + 4);
  // what is no HTTP, or asks for what this server has not, comes to no route: the runtime or the library of links answers
  if (body === "" || /"message":"(Client Error|Exceeded maximum allowed HTTP header size)"/.test(body) || !body.startsWith("{"))
    return "no-http";
  const code = /"code":"([a-zA-Z_]+)"/.exec(body)?.[1] ?? "";
  demand(isErrorCode(code), `a refusal with ${status} has the code '${code}', which is none of the API's`);
  return code;
}

const http: Target = {
  name: "http",
  covers: ["xenocorp/src/http/server.ts#createHttpServer"],
  corpus: async () => requests().map(bytesOf),
  mutate: bentRequest,
  async play(input) {
    const answer = await said(await brokerServer(), input);
    return answer.length === 0 ? "closed" : checkAnswer(answer.toString("latin1"));
  },
};

const UPGRADE = [
  "GET /api/v1/link HTTP/1.1",
  ...[
    "host: localhost",
    "connection: Upgrade",
    "upgrade: websocket",
    "sec-websocket-version: 13",
    "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
  ],
  "\r\n",
].join("\r\n");

/** A frame of RFC 6455 by a client, its mask all zeros: bytes stay as they are. */
function frameOf(opcode: number, payload: Uint8Array): Uint8Array {
  const length = payload.length < 126 ? [0x80 | payload.length] : [0xfe, payload.length >> 8, payload.length & 255];
  return new Uint8Array(Buffer.concat([Uint8Array.from([0x80 | opcode, ...length, 0, 0, 0, 0]), payload]));
}

const CLOSE = frameOf(8, new Uint8Array([3, 232]));
/** What ended servers in the wild: no mask, bits and kinds that are reserved, an end without a beginning, control frames in parts or too long. */
const WRONG_FRAMES = [
  new Uint8Array([0x81, 2, 104, 105]),
  ...[0x40, 0x20, 0x10, 3, 7, 11, 15].map((bits) => frameOf(bits | 1, bytesOf("x"))),
  new Uint8Array([0, 0x80, 0, 0, 0, 0]),
  new Uint8Array([9, 0x80, 0, 0, 0, 0]),
  frameOf(9, new Uint8Array(126)),
  frameOf(8, new Uint8Array(1)),
  frameOf(1, new Uint8Array([0xff])),
  new Uint8Array([0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]),
];
const webSocket: Target = {
  name: "websocket",
  covers: ["xenocorp/src/http/socket-pipe.ts#SocketPipe"],
  corpus: async () => [
    ...[{ t: "ping" }, { t: "hello", protocol: 1, login: JSON.parse(ENVELOPE), clock: 1 }, { t: "submit", ref: 1, envelope: {} }].map(
      (each) => frameOf(1, bytesOf(JSON.stringify(each))),
    ),
    ...[frameOf(2, new Uint8Array(40)), frameOf(9, bytesOf("ping")), frameOf(10, new Uint8Array()), CLOSE],
    ...WRONG_FRAMES,
  ],
  mutate: (input, random, others) => bentBytes(input, random, others),
  async play(input) {
    const answer = (await said(await brokerServer(), new Uint8Array(Buffer.concat([Buffer.from(UPGRADE), input, CLOSE])))).toString(
      "latin1",
    );
    demand(answer.startsWith("HTTP/1.1 101 "), "a link is not opened");
    return ACCEPTED;
  },
};

let control: Promise<Server> | null = null;
async function controlSocket(): Promise<Server> {
  const server = await ownFolder(mkdtempSync(path.join(tmpdir(), "control-")), "fuzz", async (request) => ({ heard: request["command"] }));
  return server.unref();
}

const line: Target = {
  name: "control-line",
  covers: ["cli/src/local/local-socket.ts#ownFolder"],
  corpus: async () =>
    [{ command: "status" }, { command: "who" }, { command: "drain", seconds: 3 }].map((each) => bytesOf(`${JSON.stringify(each)}\n`)),
  mutate: (input, random, others) =>
    new Uint8Array(Buffer.concat([(random.chance(0.8) ? bentJson : bentBytes)(input, random, others), Buffer.from("\n")])),
  async play(input) {
    const answer = await said(await (control ??= controlSocket()), input);
    if (answer.length === 0) return "closed";
    const { error } = JSON.parse(answer.toString("utf8"));
    return error === undefined ? ACCEPTED : REFUSED;
  },
};

const REFUSALS = [
  refuse("insufficient_funds", { missingNanos: "5000000" }),
  refuse("too_late", { windowEndsAt: 1_800_000_000_000 }),
  refuse("no_match", { excluded: { offline: 1 }, explanation: "offline excluded 1" }),
  refuse("key_not_allowed", { kind: "order", role: "ci", scopes: "read", why: "the key was not granted it" }),
].map((refusal) => bytesOf(JSON.stringify(refusalBody(refusal).error)));

/** As a customer is shown it. */
const refusal: Target = {
  name: "refusal",
  covers: ["protocol/src/errors.ts#parseRefusal"],
  corpus: async () => REFUSALS,
  mutate: bentJson,
  play(input) {
    const error = z.record(z.string(), z.unknown()).safeParse(jsonIn(textOf(input)));
    if (!error.success) return REFUSED;
    const read = parseRefusal(error.data);
    demand(
      describeRefusal(read).every((text) => typeof text === "string"),
      "a refusal is shown as something that is no text",
    );
    return read.code === "internal" ? "unknown" : ACCEPTED;
  },
};

const isInput = (value: unknown): value is Input<unknown> =>
  typeof value === "object" && value !== null && "declare" in value && "read" in value;
const INPUTS = [
  "about",
  "batch",
  "context",
  "key",
  "lease",
  "login",
  "machine",
  "money",
  "operator",
  "owner",
  "proof",
  "run",
  "search",
  "token",
];

/** What every verb takes, by its name. */
let inputs: Promise<Map<string, Input<unknown>>> | null = null;
async function verbInputs(): Promise<Map<string, Input<unknown>>> {
  const found = new Map<string, Input<unknown>>();
  for (const name of INPUTS) {
    const verbs: Record<string, unknown> = await import(`../../../packages/cli/src/input/verbs/${name}.ts`);
    for (const [key, value] of Object.entries(verbs)) if (isInput(value)) found.set(key, value);
  }
  return found;
}

const WORDS = [
  "job.py",
  "lease1",
  "10m",
  "0.50",
  "cpu>=2",
  "--mem",
  "2G",
  "--budget",
  "1",
  "--json",
  "--out",
  "out",
  "--label",
  "x",
  "--",
  "-f",
  "--every",
  "5s",
];
const argv: Target = {
  name: "argv",
  covers: ["cli/src/input/verb.ts#readTyped"],
  async corpus() {
    const names = [...(await (inputs ??= verbInputs())).keys()];
    return names.flatMap((name) => [[name], [name, "lease1"], [name, ...WORDS.slice(0, 6)]].map((words) => bytesOf(words.join("\n"))));
  },
  mutate(input, random, others) {
    const [name = "", ...words] = textOf(input).split("\n");
    const typed = Array.from({ length: random.between(0, 6) }, () =>
      random.chance(0.7) ? random.pick(WORDS) : random.pick([...words, ""]),
    );
    const bent = textOf(bentLine(bytesOf(typed.join("\n")), random, others));
    return bytesOf(`${name}\n${random.chance(0.5) ? bent : typed.join("\n")}`);
  },
  async play(input) {
    const [name = "", ...words] = textOf(input).split("\n");
    const verb = (await (inputs ??= verbInputs())).get(name);
    if (!verb) return REFUSED;
    const write = process.stderr.write;
    process.stderr.write = () => true; // commander says its refusals there as well
    try {
      return byThrowing(() => readTyped(verb, words), InputError, CommanderError);
    } finally {
      process.stderr.write = write;
    }
  },
};

export const SERVER_TARGETS: readonly Target[] = [http, webSocket, line, refusal, argv];
