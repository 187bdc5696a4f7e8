/** RFB by hand on both sides (RFC 6143): a viewer at the port of this machine, and what a server may say of a screen. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { duplexPair, type Duplex } from "node:stream";
import { inflateSync } from "node:zlib";
import { afterEach, describe, expect, it } from "vitest";
import { readPicture, takePicture } from "./picture.ts";
import { pngOf } from "./png.ts";
import { openScreenPort, type ScreenPort } from "./screen-port.ts";
import { answerTo, newPassword, passwordFile } from "./vnc-password.ts";

const NEVER = new AbortController().signal;
const u16 = (...values: number[]): Buffer => Buffer.from(values.flatMap((value) => [value >> 8, value & 255]));
const u32 = (value: number): Buffer => u16(value >>> 16, value & 0xffff);
const GREETING = [Buffer.from("RFB 003.008\n"), Buffer.from([1, 1]), u32(0)];
/** Size, a pixel format that nobody looks at, a name. */
const init = (width: number, height: number, name = "m"): Buffer =>
  Buffer.concat([u16(width, height), Buffer.alloc(16), u32(name.length), Buffer.from(name)]);
const head = (rectangles: number): Buffer => Buffer.concat([Buffer.from([0, 0]), u16(rectangles)]);
const raw = (x: number, y: number, w: number, h: number, colour: number[]): Buffer =>
  Buffer.concat([u16(x, y, w, h), u32(0), ...Array.from({ length: w * h }, () => Buffer.from([...colour, 0]))]);
const resized = (width: number, height: number): Buffer => Buffer.concat([u16(0, 0, width, height), u32(-223 >>> 0)]);
const [BLUE, RED] = [
  [255, 0, 0],
  [0, 0, 255],
];

/** A screen that says these words, cut into pieces of that size, whatever it hears. */
function saying(parts: readonly Buffer[], pieceBytes: number, ends: boolean): Duplex {
  const [near, far] = duplexPair();
  far.resume();
  far.on("error", () => {});
  const all = Buffer.concat(parts);
  for (let at = 0; at < all.length; at += pieceBytes) far.write(all.subarray(at, at + pieceBytes));
  if (ends) far.end();
  return near;
}

describe("a picture of a screen", () => {
  const words = [
    init(4, 2, "a name"),
    Buffer.from([2]), // a bell
    Buffer.concat([Buffer.from([3, 0, 0, 0]), u32(3), Buffer.from("abc")]),
    Buffer.concat([Buffer.from([1, 0]), u16(0, 1), Buffer.alloc(6)]),
    Buffer.concat([head(2), raw(0, 0, 4, 1, BLUE!), resized(3, 2)]),
    Buffer.concat([head(1), raw(0, 0, 3, 1, RED!)]),
    Buffer.concat([head(1), raw(0, 1, 3, 1, BLUE!)]),
  ];
  it.each([1, 3, 7, 1_000])("is put together from parts, whatever else is said, in pieces of %i bytes", async (pieceBytes) => {
    const { width, height, rgb } = await readPicture(saying(words, pieceBytes, false), NEVER);
    expect([width, height, rgb.toString("hex")]).toEqual([3, 2, `${"ff0000".repeat(3)}${"0000ff".repeat(3)}`]);
  });

  it("is a PNG", () => {
    const png = pngOf({ width: 1, height: 2, rgb: Buffer.from([1, 2, 3, 4, 5, 6]) });
    // IHDR and IEND as every encoder writes them, with their sums
    expect(png.subarray(0, 33).toString("hex")).toBe("89504e470d0a1a0a0000000d494844520000000100000002080200000016e32170");
    expect(png.subarray(-12).toString("hex")).toBe("0000000049454e44ae426082");
    expect(inflateSync(png.subarray(41, 41 + png.readUInt32BE(33))).toString("hex")).toBe("0001020300040506");
  });

  it.each([
    ["more pixels than it may have", [init(60_000, 60_000)], "60000x60000"],
    ["a name without end", [Buffer.concat([u16(1, 1), Buffer.alloc(16), u32(0xffff_ffff)])], "more than it may"],
    ["a part outside", [init(4, 2), head(1), raw(2, 0, 3, 1, BLUE!)], "outside"],
    ["an encoding of its own", [init(4, 2), head(1), u16(0, 0, 1, 1), u32(16)], "encoding 16"],
    ["a new size without end", [init(4, 2), head(1), resized(65_535, 65_535)], "65535x65535"],
    ["a clipboard of 4 GiB", [init(4, 2), Buffer.from([3, 0, 0, 0]), u32(0xffff_ffff)], "more than it may"],
    ["a message of no kind", [init(4, 2), Buffer.from([200])], "no screen says"],
    ["half of it", [init(4, 2), head(1), u16(0, 0, 4, 2), u32(0), Buffer.alloc(3)], "ended too early"],
  ])("is refused in words where a server says %s", async (_, said, why) => {
    await expect(readPicture(saying(said, 5, true), NEVER)).rejects.toThrow(why);
  });

  it("is not waited for beyond its time", async () => {
    const late = new AbortController();
    const waits = readPicture(saying([init(4, 2)], 100, false), late.signal);
    late.abort(new Error("late"));
    await expect(waits).rejects.toThrow("late");
  });

  it.each([
    ["says why it does not", [GREETING[0]!, Buffer.from([0]), u32(5), Buffer.from("no VM")], "refuses: no VM"],
    ["asks for a password", [GREETING[0]!, Buffer.from([1, 2])], "asks for a password"],
    ["speaks another language", [Buffer.from("HTTP/1.1 200")], "no RFB"],
    ["says no in the end", [GREETING[0]!, GREETING[1]!, u32(1), u32(2), Buffer.from("no")], "refuses: no"],
  ])("comes from no server that %s", async (_, said, why) => {
    await expect(
      takePicture({ screen: async (far) => void saying(said, 100, false).on("error", () => {}).pipe(far) }), // prettier-ignore
    ).rejects.toThrow(why);
  });
});

describe("a password for a port", () => {
  it("is eight letters, and written into files as every vncpasswd does", () => {
    expect(newPassword()).toMatch(/^[A-Za-z2-9]{8}$/);
    expect(newPassword()).not.toBe(newPassword());
    expect(passwordFile("password").toString("hex")).toBe("dbd83cfd727a1458");
  });
});

describe("a port for viewers", () => {
  const password = "pa55word";
  let port: ScreenPort | null = null;
  const viewers: Socket[] = [];
  afterEach(() => {
    port?.close();
    for (const each of viewers.splice(0)) each.destroy();
  });

  interface Opened {
    opened: Duplex[];
    problems: string[];
  }
  async function open(screen?: (far: Duplex) => Promise<void>): Promise<Opened> {
    const opened: Duplex[] = [];
    const problems: string[] = [];
    const link = {
      async screen(far: Duplex) {
        opened.push(far);
        for (const word of GREETING) far.write(word);
      },
    };
    port = await openScreenPort(screen ? { screen } : link, { password, port: 0, onProblem: (why) => problems.push(why) });
    return { opened, problems };
  }

  /** A connection, and what has come over it so far. */
  async function viewer(): Promise<{ socket: Socket; until(bytes: number): Promise<Buffer>; ended: Promise<unknown> }> {
    const socket = connect(port!.port, "127.0.0.1").on("error", () => {});
    viewers.push(socket);
    let came = Buffer.alloc(0);
    socket.on("data", (bytes: Buffer) => (came = Buffer.concat([came, bytes])));
    const ended = once(socket, "close");
    return {
      socket,
      ended,
      async until(bytes) {
        while (came.length < bytes) await once(socket, "data");
        const taken = came.subarray(0, bytes);
        came = came.subarray(bytes);
        return taken;
      },
    };
  }

  it.each(["RFB 003.008\n", "RFB 003.007\n", "RFB 003.003\n", "RFB 003.889\n"])(
    "takes %s with the password, and passes on all behind it",
    async (version) => {
      const { opened } = await open();
      const { socket, until } = await viewer();
      expect((await until(12)).toString()).toBe("RFB 003.008\n");
      socket.write(version);
      const isOld = !/[78]\n/.test(version);
      expect(await until(isOld ? 4 : 2)).toEqual(Buffer.from(isOld ? [0, 0, 0, 2] : [1, 2]));
      if (!isOld) socket.write(Buffer.from([2]));
      const answer = answerTo(await until(16), password);
      expect(opened).toEqual([]);
      // what a viewer says at once behind its password is not lost
      socket.write(Buffer.concat([answer, Buffer.from([1])]));
      expect(await until(4)).toEqual(u32(0));
      const heard: Buffer[] = [];
      opened[0]!.on("data", (bytes: Buffer) => heard.push(bytes));
      while (!Buffer.concat(heard).equals(Buffer.from("RFB 003.008\n\x01\x01"))) await once(opened[0]!, "data");
      opened[0]!.write("from the screen");
      expect((await until(15)).toString()).toBe("from the screen");
    },
  );

  it("lets nobody near the machine who does not know it", async () => {
    const { opened, problems } = await open();
    const wrong = await viewer();
    wrong.socket.write("RFB 003.008\n\x02");
    await wrong.until(14 + 16);
    wrong.socket.write(Buffer.alloc(16));
    expect((await wrong.until(8 + 14)).toString("latin1")).toContain("wrong password");
    await wrong.ended;
    for (const words of ["GET / HTTP/1.1\r\nHost: x\r\n", "RFB 003.008\n\x01", "RFB 003.008\n\x13"]) {
      const other = await viewer();
      other.socket.write(words);
      await other.ended;
    }
    expect(opened).toEqual([]);
    expect(problems).toEqual([
      "a viewer gave a wrong password",
      "what connected speaks no RFB",
      ...Array.from({ length: 2 }, () => "a viewer wants a kind of password that is not offered"),
    ]);
  });

  it("has room for eight that have not given it, and the oldest goes", async () => {
    await open();
    const first = await viewer();
    await first.until(12);
    const more = [];
    for (let i = 0; i < 8; i++) more.push(await viewer());
    await first.ended;
    for (const each of more) await each.until(12);
  });

  it("tells a viewer why there is no screen, and ends all when it is closed", async () => {
    await open(async (far) => void far.destroy(new Error("at most 4 viewers")));
    const { socket, until, ended } = await viewer();
    socket.write("RFB 003.008\n\x02");
    socket.write(answerTo((await until(30)).subarray(14), password));
    expect((await until(8 + 17)).subarray(8).toString()).toBe("at most 4 viewers");
    await ended;
    const waiting = await viewer();
    await waiting.until(12);
    port!.close();
    await waiting.ended;
  });
});
