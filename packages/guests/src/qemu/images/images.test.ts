/** An address that a customer names must not become a way into the owner's network. */
import { createHash } from "node:crypto";
import { mkdtemp, readFile, readdir, rm, stat, utimes, writeFile } from "node:fs/promises";
import { createServer, type Server, type ServerResponse } from "node:http";
import { connect, isIPv4, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ifThere } from "@xenoservers/protocol/files";
import { until } from "../../../../../test/until.ts";
import { ImageStore } from "./images.ts";
import { publicAddresses } from "../network/addresses.ts";

const IMAGE = Buffer.alloc(100_000, 5);
const digest = createHash("sha256").update(IMAGE).digest("hex");

const REDIRECTS: Record<string, string> = {
  "/moved": "/image",
  "/elsewhere": "http://b.example/image",
  "/inside": "http://inside.example/image",
  "/address": "http://169.254.169.254/latest/meta-data",
  "/port": "http://b.example:22/image",
  "/file": "file:///etc/passwd",
  "/loop": "/loop",
};
const PLACES: Record<string, string[]> = { "a.example": ["93.184.216.34"], "b.example": ["93.184.216.35"], "inside.example": ["10.1.2.3"] };

const HALF = IMAGE.length / 2;
let folder: string;
/** What is written of an image that is under way. */
async function written(): Promise<number> {
  const at = path.join(folder, "fetched/public");
  const [name] = (await readdir(at)).filter((each) => each.endsWith(".part"));
  return name === undefined ? 0 : ((await ifThere(stat(path.join(at, name))))?.size ?? 0);
}
/** Breaks off once what was sent from there on has been written. */
function cut(response: ServerResponse, from: number, bytes: number): void {
  const rest = IMAGE.subarray(from);
  const range = `bytes ${from}-${IMAGE.length - 1}/${IMAGE.length}`;
  response.writeHead(from === 0 ? 200 : 206, { "content-length": rest.length, ...(from === 0 ? {} : { "content-range": range }) });
  response.write(rest.subarray(0, bytes));
  void until(async () => (await written()) === from + bytes).then(() => response.socket?.end());
}
/** What a server does on a bad day, by how often it was asked; `from`: where a piece begins that was asked for. */
const BAD_DAYS: Record<string, (response: ServerResponse, times: number, from: number) => unknown> = {
  "/busy": (response, times) => (times < 4 ? response.writeHead(503, { "retry-after": "5" }).end() : response.end(IMAGE)),
  "/always-busy": (response) => response.writeHead(503).end(),
  "/busy-for-long": (response) => response.writeHead(429, { "retry-after": "3600" }).end(),
  "/reset": (response, times) => (times < 4 ? response.socket?.destroy() : response.end(IMAGE)),
  "/cut": (response, times, from) => {
    if (times < 8) return cut(response, from, IMAGE.length / 8);
    return response.writeHead(206, { "content-range": `bytes ${from}-${IMAGE.length - 1}/${IMAGE.length}` }).end(IMAGE.subarray(from));
  },
  "/drips": (response) => {
    response.writeHead(200, { "content-length": IMAGE.length });
    const drip = (): void => void (response.closed || response.write(IMAGE.subarray(0, 1), () => setImmediate(drip)));
    drip();
  },
  "/drips-and-breaks": (response, _, from) => cut(response, from, 1),
  "/asks-and-drips": (response, times, from) =>
    times % 2 === 1 ? response.writeHead(503, { "retry-after": "60" }).end() : cut(response, from, 1),
  "/cut-whole": (response, times) => (times === 1 ? cut(response, 0, HALF) : response.end(IMAGE)),
  "/cut-416": (response, times, from) => {
    if (times === 1) return cut(response, 0, HALF);
    return from > 0 ? response.writeHead(416).end() : response.end(IMAGE);
  },
  "/cut-other-piece": (response, times, from) => {
    if (times === 1) return cut(response, 0, HALF);
    return from > 0 ? response.writeHead(206, { "content-range": `bytes 1-2/${IMAGE.length}` }).end("xx") : response.end(IMAGE);
  },
};

describe("images by address", () => {
  let server: Server;
  let asked = 0;
  const left = Promise.withResolvers<void>();
  const times = new Map<string, number>();
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-images-"));
    server = createServer(({ url = "", headers }, response) => {
      asked++;
      times.set(url, (times.get(url) ?? 0) + 1);
      const bad = BAD_DAYS[url];
      if (bad) return void bad(response, times.get(url) ?? 1, Number(/\d+/.exec(headers.range ?? "")?.[0] ?? 0));
      const to = REDIRECTS[url!];
      if (to) response.writeHead(302, { location: to }).end();
      else if (url === "/image") response.end(IMAGE);
      else if (url === "/endless") response.write(IMAGE);
      else if (url === "/left") response.on("close", () => left.resolve()).write(IMAGE);
      else response.writeHead(404).end();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  });
  afterAll(async () => {
    server.close();
    await rm(folder, { recursive: true, force: true });
  });
  const store = (resolve: (name: string) => Promise<string[]>, isPublic: ((address: string) => boolean) | null = publicAddresses()) =>
    new ImageStore({ folder: path.join(folder, "store"), bytesMax: 1e9, isPublic, resolve });
  const nowhere = async (): Promise<string[]> => [];

  it("asks nobody unless the owner allows it", async () => {
    await expect(store(nowhere, null).fetch("http://a.example/i", digest, 1e9)).rejects.toThrow("does not let it fetch");
  });
  it.each([
    ["http://127.0.0.1/i", ["127.0.0.1"], "is not a public address"],
    ["http://[::1]/i", ["::1"], "is not a public address"],
    ["http://inside.example/i", ["10.1.2.3"], "is not a public address"],
    ["http://both.example/i", ["93.184.216.34", "192.168.0.1"], "is not a public address"],
    ["http://metadata.example/i", ["169.254.169.254"], "is not a public address"],
    ["http://unknown.example/i", [], "is not known"],
    ["http://a.example:8080/i", ["93.184.216.34"], "usual ports"],
    ["http://user:secret@a.example/i", ["93.184.216.34"], "without a password"],
    ["file:///etc/passwd", [], "http or https"],
  ])("refuses %s at %j", async (url, addresses, why) => {
    const before = asked;
    const error: Error = await store(async () => addresses)
      .fetch(url, digest, 1e9)
      .then(
        () => new Error("fetched"),
        (cause: Error) => cause,
      );
    expect(error.message).toContain(why);
    expect(error.message).not.toContain("secret");
    expect(asked).toBe(before);
  });
  describe("from a server that answers", () => {
    const reached: string[] = [];
    const waits: number[] = [];
    const beyond = (bytesMax = 1e9, now?: () => number) => {
      const dial = (address: string) => {
        reached.push(address);
        return connect((server.address() as AddressInfo).port, "127.0.0.1");
      };
      return new ImageStore({
        folder: path.join(folder, "fetched"),
        ...{ bytesMax, isPublic: publicAddresses(), resolve: async (name: string) => PLACES[name] ?? (isIPv4(name) ? [name] : []), dial },
        ...(now ? { now } : {}),
        async wait(ms, signal) {
          signal.throwIfAborted();
          waits.push(ms);
        },
      });
    };
    it("refuses nobody for an address, or a disk, that another has named with the same digest", async () => {
      const images = beyond();
      const fetch = (place: string, bytesMax: number) => images.fetch(`http://a.example${place}`, digest, bytesMax).catch(String);
      const [nothing, small, file] = await Promise.all([fetch("/nothing", 1e9), fetch("/image", 1), fetch("/image", 1e9)]);
      expect([nothing, small]).toEqual([expect.stringContaining("404"), expect.stringContaining("larger than the disk")]);
      expect(await readFile(file)).toEqual(IMAGE);
      await rm(file);
    });
    it.each(["/image", "/moved", "/elsewhere"])("takes it from %s, and keeps it for everybody", async (place) => {
      const file = await beyond().fetch(`http://a.example${place}`, digest, 1e9);
      expect(await readFile(file)).toEqual(IMAGE);
      expect(await beyond().find("p_anybody", digest)).toBe(file);
      await rm(file);
    });
    it.each([
      ["/inside", "is not a public address"],
      ["/address", "is not a public address"],
      ["/port", "usual ports"],
      ["/file", "by http or https"],
      ["/loop", "without end"],
      ["/nothing", "answers 404"],
    ])("follows %s no further than it may", async (place, why) => {
      reached.length = 0;
      await expect(beyond().fetch(`http://a.example${place}`, digest, 1e9)).rejects.toThrow(why);
      expect(new Set(reached)).toEqual(new Set(["93.184.216.34"]));
    });
    it.each([
      ["/busy", [5_000, 5_000, 5_000]],
      ["/reset", [1_000, 2_000, 4_000]],
      ["/cut", Array.from({ length: 7 }, () => 1_000)],
      ["/cut-whole", [1_000]],
      ["/cut-416", [1_000, 2_000]],
      ["/cut-other-piece", [1_000, 2_000]],
    ])("takes it from %s, which has a bad moment", async (place, expected) => {
      waits.length = 0;
      const file = await beyond().fetch(`http://a.example${place}`, digest, 1e9);
      expect(await readFile(file)).toEqual(IMAGE);
      expect(waits).toEqual(expected);
      await rm(file);
    });
    it.each([
      ["/always-busy", "the image could not be fetched: the address answers 503", 3],
      ["/busy-for-long", "the image could not be fetched: the address answers 429", 0],
    ])("gives up %s, in words, after a few tries", async (place, why, tries) => {
      waits.length = 0;
      await expect(beyond().fetch(`http://a.example${place}`, digest, 1e9)).rejects.toThrow(why);
      expect(waits).toHaveLength(tries);
    });
    it.each([
      ["/always-busy", "fetch"],
      ["/nothing", "fetch"],
      ["/loop", "fetch"],
      ["/inside", "bytes"],
      ["/port", "job"],
    ])("says of %s whose doing it is: %s", async (place, fault) => {
      await expect(beyond().fetch(`http://a.example${place}`, digest, 1e9)).rejects.toMatchObject({ fault });
    });
    it("gives up what drips, whether it goes on or breaks off again and again, and waits only so long for who asks it to", async () => {
      const clock = { ms: 0 };
      for (const [place, step] of [
        ["/drips", 1_000],
        ["/drips-and-breaks", 10_000],
      ] as const) {
        const images = beyond(1e9, () => (clock.ms += step));
        await expect(images.fetch(`http://a.example${place}`, digest, 1e9)).rejects.toMatchObject({
          ...{ fault: "fetch", message: "the address gives less than 64 KiB a second: the image could not be fetched" },
        });
      }
      waits.length = 0;
      await expect(beyond().fetch("http://a.example/asks-and-drips", digest, 1e9)).rejects.toMatchObject({ fault: "fetch" });
      expect(waits.filter((ms) => ms === 60_000)).toHaveLength(5);
    });
    it("waits for a slow one no longer than there is time, and others for as long as they have", async () => {
      const images = beyond();
      const stop = new AbortController();
      const other = images.fetch("http://a.example/endless", digest, 1e9, { signal: stop.signal });
      await expect(images.fetch("http://a.example/endless", digest, 1e9, { msMax: 0 })).rejects.toMatchObject({ fault: "fetch" });
      expect(await Promise.race([other, Promise.resolve("under way")])).toBe("under way");
      stop.abort(new Error("enough"));
      await expect(other).rejects.toThrow("enough");
    });
    it("fetches for as long as somebody waits, and leaves nothing then", async () => {
      const images = beyond();
      const [first, second] = [new AbortController(), new AbortController()];
      const waits = [first, second].map(({ signal }) => images.fetch("http://a.example/left", digest, 1e9, { signal }));
      const ends = Promise.allSettled(waits);
      await until(() => times.has("/left"));
      first.abort(new Error("nobody wants it"));
      await expect(waits[0]).rejects.toThrow("nobody wants it");
      const third = images.fetch("http://a.example/left", digest, 1e9, { signal: second.signal });
      second.abort(new Error("nobody at all"));
      await expect(third).rejects.toThrow("nobody at all");
      await ends;
      await left.promise;
      expect(times.get("/left")).toBe(1);
      await until(async () => (await readdir(path.join(folder, "fetched/public"))).length === 0);
    });
    it("gives up another image than was ordered, and one larger than the disk bought; nothing of them stays", async () => {
      await expect(beyond().fetch("http://a.example/image", "ab".repeat(32), 1e9)).rejects.toThrow("does not have the digest");
      await expect(beyond().fetch("http://a.example/image", digest, 50_000)).rejects.toThrow("larger than the disk");
      expect(await readdir(path.join(folder, "fetched/public"))).toEqual([]);
    });
  });
  it("keeps each customer's own images apart, and gives up the least used", async () => {
    const images = store(nowhere);
    const file = path.join(folder, "sent");
    await writeFile(file, IMAGE);
    await images.keep("p_a", digest, file);
    expect(await readFile((await images.find("p_a", digest))!)).toEqual(IMAGE);
    expect(await images.find("p_b", digest)).toBeNull();
    const small = new ImageStore({ folder: path.join(folder, "small"), bytesMax: 150_000, isPublic: null });
    await writeFile(`${file}2`, Buffer.alloc(100_000, 6));
    await small.keep("p_a", digest, file);
    const kept = (await small.find("p_a", digest))!;
    await utimes(kept, new Date(0), new Date(0)); // used long ago
    await small.keep("p_a", "ee".repeat(32), `${file}2`);
    const [owner] = await readdir(path.join(folder, "small"));
    expect(await readdir(path.join(folder, "small", owner!))).toHaveLength(1);
  });
  it("gives one customer half of the room at most: whoever fills it loses his own", async () => {
    const at = path.join(folder, "shared");
    const images = new ImageStore({ folder: at, bytesMax: 400_000, isPublic: null });
    const send = async (customer: string, n: number): Promise<void> => {
      const [file, name] = [path.join(folder, `of-${customer}-${n}`), `${n}`.repeat(64)];
      await writeFile(file, Buffer.alloc(90_000, n));
      await images.keep(customer, name, file);
      const kept = await images.find(customer, name);
      if (kept !== null) await utimes(kept, n, n); // the later the number
    };
    await send("p_a", 1);
    for (const n of [2, 3, 4, 5]) await send("p_b", n);
    const has = async (customer: string, n: number): Promise<boolean> => (await images.find(customer, `${n}`.repeat(64))) !== null;
    expect([await has("p_a", 1), await has("p_b", 2), await has("p_b", 3), await has("p_b", 5)]).toEqual([true, false, false, true]);
    await images.forget("p_b", "5".repeat(64));
    expect([await has("p_a", 1), await has("p_b", 4), await has("p_b", 5)]).toEqual([true, true, false]);
    await images.makeRoom(); // what was used just now may be needed this moment
    expect([await has("p_a", 1), await has("p_b", 4)]).toEqual([true, true]);
  });
});
