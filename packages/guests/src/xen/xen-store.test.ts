import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Toolstack } from "./toolstack.fixture.ts";
import { askStoreAt } from "./xen-store.ts";
import { Xl } from "./xl.ts";

const OWN = "0a58af2d-7c0e-4ad4-b5a1-6f1f3ab0d4f2";
const OTHER = "0a58af2d-7c0e-4ad4-b5a1-6f1f3ab0d4f3";
const ERROR = 16;

let folder: string;
let socket: string;
let servers: Server[];
/** What each question was. */
let asked: string[];

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-store-"));
  [socket, servers, asked] = [path.join(folder, "socket"), [], []];
});
afterEach(async () => {
  for (const each of servers) each.close();
  await rm(folder, { recursive: true });
});

function answerOf(type: number, number: number, said: string, length = Buffer.byteLength(said)): Buffer {
  const head = Buffer.alloc(16);
  for (const [place, value] of [type, number, 0, length].entries()) head.writeUInt32LE(value, place * 4);
  return Buffer.concat([head, Buffer.from(said)]);
}

type Answer = (type: number, number: number, node: string) => Buffer | null;

/** Null: it hangs up. */
async function store(answer: Answer, apart = false): Promise<void> {
  const server = createServer((link) => {
    let rest = Buffer.alloc(0);
    link.on("error", () => {});
    link.on("data", (bytes: Buffer) => {
      rest = Buffer.concat([rest, bytes]);
      while (rest.length >= 16 && rest.length >= 16 + rest.readUInt32LE(12)) {
        const end = 16 + rest.readUInt32LE(12);
        const node = rest.toString("latin1", 16, end - 1);
        asked.push(node);
        const said = answer(rest.readUInt32LE(0), rest.readUInt32LE(4), node);
        rest = rest.subarray(end);
        if (said === null) link.destroy();
        else if (apart) for (const byte of said) link.write(Uint8Array.of(byte));
        else link.write(said);
      }
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(socket, resolve));
}

/** As xenstored answers of these nodes. */
const holding =
  (nodes: Record<string, string>): Answer =>
  (type, number, node) => {
    const said = nodes[node];
    return said === undefined ? answerOf(ERROR, number, "ENOENT\0") : answerOf(type, number, said);
  };

const HOST = {
  "/local/domain": "0\x001\x003\x0012\x0013\0",
  "/local/domain/1/vm": `/vm/${OTHER}`,
  "/local/domain/3/vm": `/vm/${OWN}`,
  "/local/domain/12/vm": `/vm/${OWN}`,
  "/local/domain/12/console/tty": "/dev/pts/7",
};

function xlOf(toolstack = new Toolstack()): { xl: Xl; toolstack: Toolstack } {
  return { xl: new Xl(toolstack.run, toolstack.apart, toolstack.streams, askStoreAt(socket)), toolstack };
}

describe("xenstore's socket", () => {
  it.each([false, true])("answers all that is asked at once, and of what is not there that it is not (byte by byte: %s)", async (apart) => {
    await store(holding(HOST), apart);
    const answers = await askStoreAt(socket)([
      { what: "read", node: "/local/domain/12/console/tty" },
      { what: "read", node: "/local/domain/13/vm" },
      { what: "list", node: "/local/domain" },
    ]);
    expect(answers).toEqual(["/dev/pts/7", null, HOST["/local/domain"]]);
  });

  const lies: [string, Answer][] = [
    ["another question", (type, number) => answerOf(type, number + 1, "x")],
    ["something else", (type, number) => answerOf(type + 1, number, "x")],
    ["more than it may", (type, number) => answerOf(type, number, "x", 2 ** 31)],
    ["nothing", () => null],
  ];
  it.each(lies)("is not believed where it answers %s", async (_, answer) => {
    await store(answer);
    await expect(askStoreAt(socket)([{ what: "read", node: "/a" }])).rejects.toThrow("xenstored");
  });
});

describe("xl", () => {
  it("has the number of the domain that was made last, and its console, with no process", async () => {
    await store(holding(HOST));
    const { xl, toolstack } = xlOf();
    expect([await xl.numberOf(OWN), await xl.console(12), await xl.console(13)]).toEqual([12, "/dev/pts/7", null]);
    expect(toolstack.calls).toEqual([]);
  });

  it("writes in order, with no process, and by one, which says why, where xenstore refuses it", async () => {
    const told = (id: number): [string, string][] => [
      [`/b/${id}/device`, "7:1"],
      [`/b/${id}/hotplug-status`, "connected"],
    ];
    await store((_, number, node) => (node.startsWith("/b/1/") ? answerOf(11, number, "OK\0") : answerOf(ERROR, number, "EACCES\0")));
    const { xl, toolstack } = xlOf();
    await xl.write(told(1));
    // as it is sent the value has no zero byte at its end
    expect(asked).toEqual(["/b/1/device\x007:", "/b/1/hotplug-status\0connecte"]);
    expect(toolstack.calls).toEqual([]);
    await xl.write(told(2));
    await xl.write([["/b/1/device", "x".repeat(4_096)]]);
    const by = "xenstore-write /b";
    expect(toolstack.calls).toEqual([`${by}/2/device 7:1 /b/2/hotplug-status connected`, `${by}/1/device ${"x".repeat(4_096)}`]);
  });

  it("asks by processes where xenstore has no socket, or does not list all domains at once", async () => {
    const { xl, toolstack } = xlOf();
    toolstack.add("own", OWN);
    toolstack.tty = "/dev/pts/3";
    expect([await xl.numberOf(OWN), await xl.numberOf(OTHER), await xl.console(1)]).toEqual([1, null, "/dev/pts/3"]);
    await store(holding({}));
    expect(await xl.numberOf(OWN)).toBe(1);
    expect(asked).toEqual(["/local/domain"]);
  });
});
