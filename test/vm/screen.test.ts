/** Screens of machines through the market: others' media and viewers, keys, and whoever means harm on either side. */
import { spawn, type ChildProcess } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { inflateSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { passwordFile } from "@xenoservers/sdk";
import { until, type TestMarket } from "../process/market.ts";
import { RawViewer } from "./rfb.ts";
import { TYPEWRITER, disk } from "./sector-disk.ts";
import { cliHome, machines, qemus, run, stopAll, vmMarket } from "./support.ts";

const MEMTEST = "/usr/lib/memtest86+/memtest86+x64.iso";
/** The fourth bit of colour of text modes (VGA: two thirds of six bits). */
const BLUE = "0000a8";

/** 320x200, all of it in another colour for ever. */
const FLOOD = [0xb8, 0x13, 0x00, 0xcd, 0x10, 0x68, 0x00, 0xa0, 0x07, 0x31, 0xff, 0xb9, 0x00, 0xfa, 0xfe, 0xc0, 0xf3, 0xaa, 0xeb, 0xf5];

/** How many of a picture's pixels are of each colour. */
async function colours(file: string): Promise<Map<string, number>> {
  const png = await readFile(file);
  const data = png.indexOf("IDAT");
  const lines = inflateSync(png.subarray(data + 4, data + 4 + png.readUInt32BE(data - 4)));
  const counts = new Map<string, number>();
  const width = png.readUInt32BE(16);
  for (let y = 0; y < png.readUInt32BE(20); y++)
    for (let x = 0; x < width; x++) {
      const at = y * (1 + width * 3) + 1 + x * 3;
      const colour = lines.toString("hex", at, at + 3);
      counts.set(colour, (counts.get(colour) ?? 0) + 1);
    }
  return counts;
}

machines("a machine's screen", () => {
  let market: TestMarket;
  let cli: Awaited<ReturnType<typeof cliHome>>;
  const shown: ChildProcess[] = [];
  beforeAll(async () => {
    market = await vmMarket();
    cli = await cliHome(market);
  });
  afterEach(async () => {
    for (const each of shown.splice(0)) each.kill("SIGKILL");
    await stopAll({ ...market, customer: cli.client });
  });
  afterAll(() => market.close());

  const rent = async (...words: string[]): Promise<string> => {
    const ran = await cli.xeno("run", ...words, "--mem", "192M", "--accel", "any", "--max-time", "10m", "--detach", "-q");
    expect(ran.stderr).toBe("");
    return ran.stdout.trim();
  };

  /** `xeno screen` as a process, once it listens. */
  async function show(lease: string): Promise<{ port: number; password: string; child: ChildProcess; said(): string }> {
    const program = path.resolve(import.meta.dirname, "../../packages/cli/bin/xeno.js");
    const env = { ...process.env, XENO_HOME: cli.home, NO_COLOR: "1" };
    const child = spawn(process.execPath, [program, "screen", lease, "--no-viewer"], { env, stdio: ["ignore", "pipe", "pipe"] });
    shown.push(child);
    let said = "";
    for (const stream of [child.stdout, child.stderr]) stream!.on("data", (bytes: Buffer) => (said += bytes.toString()));
    await until(() => /vnc:[^]*password \S+\n/.test(said) || child.exitCode !== null);
    const [, port, password] = /vnc:\/\/127\.0\.0\.1:(\d+)\n[^]*?password (\S{8})\n/.exec(said) ?? [];
    expect(password, said).toBeDefined();
    return { port: Number(port), password: password!, child, said: () => said };
  }

  async function viewer({ port, password }: { port: number; password: string }): Promise<RawViewer> {
    const raw = await RawViewer.to(port);
    expect(await raw.login(password)).toBe(0);
    return raw;
  }

  it("shows what an unmodified medium has on it, on an empty disk", async () => {
    const lease = await rent("--iso", MEMTEST, "--disk", "64M", "--screen");
    const picture = path.join(market.folder, "memtest.png");
    // memtest86+ paints its own screen blue, behind what the firmware and its loader wrote
    await until(async () => {
      expect(await cli.xeno("screen", lease, "--screenshot", picture)).toMatchObject({ code: 0 });
      return ((await colours(picture)).get(BLUE) ?? 0) > 50_000;
    });
  });

  it("shows UEFI firmware of a machine for Windows, which has one unasked", async () => {
    const lease = await rent("--windows", "--vm", await disk(market.folder, "nothing", []), "--format", "raw");
    const picture = path.join(market.folder, "uefi.png");
    await until(async () => {
      expect(await cli.xeno("screen", lease, "--screenshot", picture)).toMatchObject({ code: 0 });
      // in text modes, as BIOS has them, a screen is 720 pixels wide
      return (await readFile(picture)).readUInt32BE(16) >= 800 && (await colours(picture)).size > 1;
    });
  });

  it("takes keys, and shows itself to a stranger's viewer that knows the password", async () => {
    const lease = await rent("--vm", await disk(market.folder, "typewriter", TYPEWRITER), "--format", "raw", "--screen");
    const port = await show(lease);
    const raw = await viewer(port);
    await raw.begin();
    await until(async () => (await cli.xeno("logs", lease)).stdout.includes("Booting from Hard Disk"));
    await until(async () => {
      for (const letter of "xeno") raw.key(letter.charCodeAt(0));
      return /xeno/.test((await cli.xeno("logs", lease)).stdout.split("Hard Disk")[1] ?? "");
    });
    const [jpeg, good, bad] = ["jpg", "good", "bad"].map((name) => path.join(market.folder, name)) as [string, string, string];
    await writeFile(good, passwordFile(port.password));
    await writeFile(bad, passwordFile("another1"));
    const display = `127.0.0.1:${port.port - 5_900}`;
    await run("vncsnapshot", ["-quiet", "-passwd", good, display, jpeg]);
    expect((await readFile(jpeg)).subarray(0, 2)).toEqual(Buffer.from([0xff, 0xd8]));
    await expect(run("vncsnapshot", ["-quiet", "-passwd", bad, display, jpeg])).rejects.toMatchObject({ code: 1 });
    await until(() => port.said().includes("a viewer gave a wrong password"));
    // it asked for the screen alone, and another came: both look
    expect(raw.isOver).toBe(false);
    // whoever leaves by himself is told nothing of sessions
    const left = new Promise((resolve) => port.child.once("close", resolve));
    port.child.kill("SIGINT");
    expect(await left).toBe(0);
    expect(port.said()).not.toMatch(/session|ended/);
  });

  it("has at most four viewers, the next is told so; they end with the lease, and so does the command", async () => {
    const lease = await rent("--vm", await disk(market.folder, "typewriter", TYPEWRITER), "--format", "raw", "--screen");
    const port = await show(lease);
    const four = [await viewer(port), await viewer(port), await viewer(port), await viewer(port)];
    for (const each of four) await each.begin();
    const fifth = await RawViewer.to(port.port);
    expect(await fifth.login(port.password)).toBe(1);
    expect((await fifth.take((await fifth.take(4)).readUInt32BE())).toString()).toContain("at most 4 viewers");
    expect((await cli.xeno("screen", lease, "--screenshot", "/dev/null")).stderr).toContain("at most 4 viewers");
    four[0]!.socket.destroy();
    await until(async () => (await cli.xeno("screen", lease, "--screenshot", path.join(market.folder, "p.png"))).code === 0);
    const over = new Promise((resolve) => port.child.once("exit", resolve));
    await cli.xeno("lease", "stop", lease);
    expect(await over).toBe(0);
    expect(port.said()).toContain("the lease has ended: customer-stop");
    for (const each of four) await each.ended();
  });

  it("outlives a viewer that says what no viewer says, and one that reads nothing of a flood", async () => {
    const lease = await rent("--vm", await disk(market.folder, "flood", FLOOD), "--format", "raw", "--screen");
    const port = await show(lease);
    const picture = path.join(market.folder, "flood.png");
    const isFlooded = async (of = lease): Promise<boolean> => {
      expect(await cli.xeno("screen", of, "--screenshot", picture)).toMatchObject({ code: 0 });
      return (await readFile(picture)).readUInt32BE(16) !== 720;
    };
    await until(() => isFlooded());
    const idle = await viewer(port);
    const size = await idle.begin();
    idle.socket.pause();
    for (let i = 0; i < 10_000; i++) idle.ask(size);
    const nonsense = [
      [6, 0, 0, 0, 0xff, 0xff, 0xff, 0xff], // a clipboard of 4 GiB
      [2, 0, 0xff, 0xff], // 65,535 encodings, none of which come
      [0, 0, 0, 0, 7, 7, 7, 7, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 99, 99, 99, 0, 0, 0], // pixels of seven bits
      [255, 255, 255, 255, 255, 255, 255, 255],
    ];
    for (const bytes of nonsense) {
      const hostile = await viewer(port);
      await hostile.begin();
      hostile.socket.write(Buffer.from(bytes));
      hostile.socket.end();
      await hostile.ended();
    }
    await until(() => isFlooded());
    const [pid] = await qemus(market.folder);
    const kib = Number((await run("ps", ["-o", "rss=", "--ppid", String(pid)])).stdout.trim());
    // the guest's 192 MiB, QEMU's own and the screen's: what was ordered
    expect(kib).toBeGreaterThan(1_024);
    expect(kib / 1_024).toBeLessThan(192 + 192 + 64);
    // a fork has a screen of its own, with viewers of its own
    const fork = await cli.xeno("lease", "fork", lease, "1");
    expect(fork).toMatchObject({ code: 0 });
    await until(() => isFlooded(fork.stdout.trim()));
  });

  it("is of no use to others on the customer's machine, nor where none was ordered", async () => {
    const lease = await rent("--vm", await disk(market.folder, "typewriter", TYPEWRITER), "--format", "raw", "--screen");
    const port = await show(lease);
    const other = await RawViewer.to(port.port);
    expect(await other.login("password")).toBe(1);
    await other.ended();
    const silent = await Promise.all(Array.from({ length: 20 }, () => RawViewer.to(port.port)));
    await until(() => silent.filter(({ isOver }) => isOver).length >= 12); // eight may wait
    const none = await RawViewer.to(port.port);
    await none.take(12);
    none.socket.write("GET / HTTP/1.1\r\n\r\n");
    await none.ended();
    for (const version of ["RFB 003.003\n", "RFB 003.007\n"])
      expect(await (await RawViewer.to(port.port)).login(port.password, version)).toBe(0);
    const without = await rent("--vm", await disk(market.folder, "typewriter", TYPEWRITER), "--format", "raw");
    expect(await cli.xeno("screen", without, "--screenshot", "/dev/null")).toMatchObject({
      code: 125,
      stderr: expect.stringContaining("ordered without a screen: run it with --screen"),
    });
  });
});
