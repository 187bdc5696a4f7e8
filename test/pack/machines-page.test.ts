/** A page that leases machines: typed without Node, and in a real browser an image and a kernel that it holds, run by QEMU. */
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { busyboxLayout, initrd, kernel, machines, run, vmMarket, QUIET, VM_TOML } from "../vm/support.ts";
import { PLAYWRIGHT, startChromium, type Browser, type Tab } from "./chromium.ts";
import { ended, install, packed } from "./install.ts";
import type { TestMarket } from "../process/market.ts";
import type { MachinesPage } from "./page/machines.ts";
import { HTML, bytesOf, served, strictOf } from "./site.ts";

const LIBRARIES = ["@xenoservers/market", "@xenoservers/protocol", "@xenoservers/verify", "@xenoservers/sdk"];

machines("a page that leases machines", () => {
  let folder: string;
  let at: string;
  let market: TestMarket;
  let site: Awaited<ReturnType<typeof served>>;
  let browser: Browser;
  let tab: Tab;
  const errors: Error[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-machines-page-"));
    at = path.join(folder, "a page");
    const { file } = packed();
    const { version } = JSON.parse(await readFile("node_modules/typescript/package.json", "utf8")) as { version: string };
    await install(at, ...LIBRARIES.map((name) => file(name)), `typescript@${version}`, "vite@8.3.8", PLAYWRIGHT);
    await cp("test/pack/page/machines.ts", path.join(at, "page.ts"));
    await writeFile(path.join(at, "index.html"), HTML);
    await writeFile(path.join(at, "tsconfig.json"), JSON.stringify(strictOf("page.ts")));
    const archive = path.join(folder, "box.tar");
    await run("skopeo", ["copy", "--insecure-policy", `oci:${await busyboxLayout(folder)}:box`, `docker-archive:${archive}:box:1`]);
    const ramdisk = path.join(folder, "initrd");
    await writeFile(ramdisk, await initrd("echo hello from the page; poweroff -f"));
    const waiting = path.join(folder, "waiting");
    await writeFile(waiting, await initrd("sleep 100000"));
    const held = { "box.tar": archive, kernel: await kernel(), initrd: ramdisk, waiting };
    const policy = (): string =>
      `default-src 'none'; script-src 'self'; connect-src 'self' ${market.broker.url} ${market.broker.url.replace("http", "ws")}`;
    site = await served(path.join(at, "dist"), policy, new Map(Object.entries(held)));
    market = await vmMarket(VM_TOML, { pages: [site.origin] });
    browser = await startChromium(at);
  });
  afterAll(async () => {
    await browser.close();
    await market.close();
    site.server.close();
    await rm(folder, { recursive: true, force: true });
  });

  it("is typed to the last letter in a strict project that knows browsers alone", async () => {
    const checked = await ended(process.execPath, [path.join(at, "node_modules/.bin/tsc"), "-p", "."], {}, at);
    expect(checked.stdout).toBe("");
    expect(checked.code).toBe(0);
  });

  it("is one bundle of Vite's, into which nothing of Node's comes", async () => {
    const built = await ended(path.join(at, "node_modules/.bin/vite"), ["build"], {}, at);
    expect(built.code, built.stderr).toBe(0);
    const left = `${built.stdout}${built.stderr}`.split("\n").filter((line) => line.includes("externalized"));
    expect(left.filter((line) => !/"crypto".*@hpke\/common/.test(line))).toEqual([]);
    console.log(`with machines the bundle takes ${await bytesOf(path.join(at, "dist"))} bytes with gzip`);
    tab = await browser.newPage();
    tab.on("pageerror", (error) => errors.push(error));
    await tab.goto(site.origin);
    await tab.waitForFunction("globalThis.xeno !== undefined");
    const party = await tab.evaluate(async (url) => (globalThis as unknown as { xeno: MachinesPage }).xeno.login(url), market.broker.url);
    const credit = { party, amountNanos: "10000000000", source: "operator", reference: "" } as const;
    await market.operator("credit", { ...credit, clientId: market.customer.newId() });
  });

  it("runs an image of an archive that it holds: programs, files, a port, a snapshot, and a receipt that holds", async () => {
    const held = await tab.evaluate(async () => (globalThis as unknown as { xeno: MachinesPage }).xeno.image(), null);
    expect(held).toMatchObject({
      printed: expect.stringMatching(/^from the page\nready\n$/) as string,
      cat: { exitCode: 0, stdout: "to the guest", stderr: "", why: null },
      failed: { exitCode: 3, stdout: "", stderr: "trouble\n" },
      program: { said: expect.stringMatching(/30 90\r\n.*got a word\r\n$/s) as string, exitCode: 4 },
      port: "through the channel",
      files: { size: 8 * 1024 * 1024, same: true, small: "a text", names: expect.arrayContaining(["large", "small"]) as string[] },
      forked: "a text",
      snapshot: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
      end: { reason: "customer-stop" },
      ...{ ok: true, again: true },
    });
    expect(held.sent).toBeGreaterThan(1024 * 1024);
    expect(errors).toEqual([]);
  });

  it("boots a kernel and its RAM disk that it holds, to its end", async () => {
    const booted = await tab.evaluate(async (append) => (globalThis as unknown as { xeno: MachinesPage }).xeno.kernel(append), QUIET);
    expect(booted).toEqual({ stdout: expect.stringContaining("hello from the page") as string, reason: "completed", ok: true });
    expect(errors).toEqual([]);
  });

  it("has the screen of a machine as a stream", async () => {
    const said = await tab.evaluate(async (append) => (globalThis as unknown as { xeno: MachinesPage }).xeno.screen(append), QUIET);
    expect(said).toMatch(/^RFB 003\.00\d\n/);
    expect(errors).toEqual([]);
  });

  it("is told in words what it cannot have, before anything is ordered", async () => {
    const said = await tab.evaluate(async () => (globalThis as unknown as { xeno: MachinesPage }).xeno.refusals(), null);
    expect(said).toEqual(
      [
        ...["a page cannot ask a registry for alpine", "a page has no file disk.qcow2", "needs digest sha256:"],
        ...["is no archive of an OCI image", "in is for a program on Node", "kernel", "replicas is beyond what this page has loaded"],
      ].map((words) => expect.stringContaining(words) as string),
    );
  });
});
