/** Streams of a channel without Node's own: what is said and taken, how each side ends, and programs and connections made of them. */
import { Tunnel, frame, type ChannelHeader } from "@xenoservers/protocol/channel";
import { parseUtf8, utf8 } from "@xenoservers/protocol";
import { describe, expect, it } from "vitest";
import type { MachineLink } from "../session/machine-link.ts";
import { hasPerl, ShellHere } from "./guest.fixture.ts";
import { byteStreams, type ByteStreams } from "./web-streams.ts";
import { WebProgram } from "./web-program.ts";
import { Wire } from "./wire.ts";

const text = async (from: ReadableStream<Uint8Array>): Promise<string> =>
  new Response(from as ReadableStream<Uint8Array<ArrayBuffer>>).text();

/** Two tunnels of which each hears what the other says. */
function joined(left: ConstructorParameters<typeof Tunnel>[0], right: ConstructorParameters<typeof Tunnel>[0], hasHalves = true): void {
  const ends: Tunnel[] = [];
  const host = (other: number) => ({
    ...{ id: 1, hasHalves, closed: () => {} },
    async send(header: ChannelHeader, body: Uint8Array = new Uint8Array(0)) {
      await Promise.resolve();
      if (header.t === "data") ends[other]?.receive(body.slice());
      else if (header.t === "taken") ends[other]?.taken(header.bytes);
      else if (header.t === "shut") ends[other]?.shut(header.why);
    },
  });
  ends.push(new Tunnel(left, host(1)), new Tunnel(right, host(0)));
}

async function pair(): Promise<[ByteStreams, ByteStreams]> {
  let first!: ConstructorParameters<typeof Tunnel>[0];
  const left = await byteStreams(async (stream) => void (first = stream));
  const right = await byteStreams(async (stream) => joined(first, stream));
  return [left, right];
}

describe("a connection by the web's streams", () => {
  it("carries both ways more than any window, and one side ends before the other", async () => {
    const [left, right] = await pair();
    const sent = new Uint8Array(3 * 1024 * 1024).map((_, i) => i % 251);
    const wrote = (async () => {
      const writer = left.writable.getWriter();
      for (let at = 0; at < sent.length; at += 100_000) await writer.write(sent.subarray(at, at + 100_000));
      await writer.close();
    })();
    const came = new Uint8Array(await new Response(right.readable as ReadableStream<Uint8Array<ArrayBuffer>>).arrayBuffer());
    await wrote;
    expect(Buffer.compare(came, sent)).toBe(0);
    const writer = right.writable.getWriter();
    await writer.write(utf8("and back"));
    await writer.close();
    expect(await text(left.readable)).toBe("and back");
  });

  it("holds back who writes while nobody reads", async () => {
    const [left, right] = await pair();
    const writer = left.writable.getWriter();
    let pieces = 0;
    const writing = (async () => {
      for (; pieces < 400; pieces++) await writer.write(new Uint8Array(64 * 1024));
      await writer.close();
    })();
    for (let quiet = 0, before = -1; quiet < 50; quiet = pieces === before ? quiet + 1 : 0, before = pieces)
      await new Promise((resolve) => setImmediate(resolve));
    expect(pieces).toBeLessThan(100);
    for await (const _ of right.readable);
    await writing;
    expect(pieces).toBe(400);
  });

  it("that is broken off is no end, on either side", async () => {
    const [left, right] = await pair();
    const reading = text(right.readable);
    await left.writable.abort(new Error("mine"));
    await expect(reading).rejects.toThrow("was reset");
    await expect(text(left.readable)).rejects.toThrow("was reset");
    await expect(right.writable.getWriter().write(utf8("x"))).rejects.toThrow("was reset");
  });

  it("whose reader goes is let go of", async () => {
    const [left, right] = await pair();
    await left.readable.cancel();
    await right.readable.getReader().closed;
    await expect(left.writable.getWriter().closed).rejects.toThrow("has ended");
  });
});

describe("a wire", () => {
  it("hands over one piece after the other, and breaks off where one cannot be taken", async () => {
    const order: string[] = [];
    const wire = new Wire({
      async take(bytes) {
        order.push(`begins ${bytes[0]}`);
        await new Promise((resolve) => setImmediate(resolve));
        if (bytes[0] === 3) throw new Error("not that");
        order.push(`taken ${bytes[0]}`);
      },
      ended: () => void order.push("ended"),
      closed: (why) => void order.push(`closed: ${why?.message}`),
    });
    const told: string[] = [];
    wire.on("error", (error: Error) => void told.push(error.message)).once("close", () => void told.push("close"));
    const done = Promise.all([1, 2, 3, 4].map((n) => new Promise<void>((resolve) => wire.write(Uint8Array.of(n), resolve))));
    await done;
    expect(order).toEqual(["begins 1", "taken 1", "begins 2", "taken 2", "begins 3", "closed: not that"]);
    expect(told).toEqual(["not that", "close"]);
  });

  it("says nothing before whoever listens has said what it is, and waits while it is paused", async () => {
    const wire = new Wire({ take: () => {}, ended: () => {}, closed: () => {} });
    const heard: string[] = [];
    const first = wire.say(utf8("a"));
    wire.on("data", (bytes: Uint8Array) => void heard.push(parseUtf8(bytes)!)).once("end", () => void heard.push("end"));
    expect(heard).toEqual([]);
    await first;
    wire.pause();
    void wire.say(utf8("b"));
    wire.sayEnd();
    await Promise.resolve();
    expect(heard).toEqual(["a"]);
    wire.resume();
    expect(heard).toEqual(["a", "b", "end"]);
    expect(wire.isDestroyed).toBe(false);
    await new Promise<void>((resolve) => wire.end(resolve));
    expect(wire.isDestroyed).toBe(true);
  });
});

describe.skipIf(!hasPerl)("a program by the web's streams", () => {
  it("reads, prints on both and ends as it does", async () => {
    const here = new ShellHere();
    try {
      const program = await WebProgram.start(here.link(), { args: ["sh", "-c", "cat; echo trouble >&2; exit 3"] });
      const writer = program.stdin.getWriter();
      await writer.write(utf8("typed"));
      await writer.close();
      expect(await Promise.all([text(program.stdout), text(program.stderr), program.ended])).toEqual([
        ...["typed", "trouble\n"],
        { exitCode: 3, why: null },
      ]);
      const large = await WebProgram.start(here.link(), { args: ["sh", "-c", "head -c 3000000 /dev/zero"] });
      let size = 0;
      for await (const bytes of large.stdout) size += bytes.length;
      expect(size).toBe(3_000_000);
      const sized = await WebProgram.start(here.link(), { args: ["sh", "-c", "stty size"], terminal: { columns: 99, rows: 33 } });
      expect(await text(sized.stdout)).toContain("33 99");
      const killed = await WebProgram.start(here.link(), { args: ["sleep", "100000"] });
      killed.kill();
      await expect(killed.ended).rejects.toThrow("the link went down");
      expect(await text(killed.stdout)).toBe("");
    } finally {
      here.end();
    }
  });
});

it("what is piped into a program ends with it, also where nothing more comes of it", async () => {
  let wire!: Wire;
  const link = { shell: async (given: Wire) => void (wire = given.resume()) } as unknown as MachineLink;
  const program = await WebProgram.start(link, { args: ["x"] });
  let isLetGo = false;
  const silent = new ReadableStream<Uint8Array>({ cancel: () => void (isLetGo = true) });
  const piped = silent.pipeTo(program.stdin);
  wire.write(frame("x", utf8("0")));
  await expect(piped).rejects.toThrow("the program has ended");
  expect([isLetGo, await program.ended]).toEqual([true, { exitCode: 0, why: null }]);
});

it("a program whose output nobody reads holds back its guest", async () => {
  let wire!: Wire;
  const link = { shell: async (given: Wire) => void (wire = given.resume()) } as unknown as MachineLink;
  const program = await WebProgram.start(link, { args: ["x"] });
  let taken = 0;
  for (let i = 0; i < 8; i++) wire.write(frame("o", new Uint8Array(32 * 1024)), () => void taken++);
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
  expect(taken).toBeLessThan(4);
  wire.write(frame("x", utf8("0")));
  expect((await text(program.stdout)).length).toBe(8 * 32 * 1024);
  expect(await program.ended).toEqual({ exitCode: 0, why: null });
});
