/** The libraries in a page: typed without Node, one bundle within its size, and in a real browser a customer's whole story. */
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import wabtInit from "wabt";
import { PLAYWRIGHT, startChromium, type Browser } from "./chromium.ts";
import { ended, install, packed } from "./install.ts";
import { demoMarket, type DemoMarket } from "./market.ts";
import type { ManyPage } from "./page/many.ts";
import type { Page } from "./page/page.ts";
import { HTML, bytesOf, served, strictOf } from "./site.ts";

const LIBRARIES = ["@xenoservers/market", "@xenoservers/protocol", "@xenoservers/verify", "@xenoservers/sdk"];
const OTHERS = ["vite@8.3.8", PLAYWRIGHT];
const GZIP_BYTES_MAX = 120 * 1024;

/** A second page, with a bundle of its own: the folder that it is built of, and where to. */
const MANY = { source: "many", built: "dist-many" };

/** Says hello, and after it what it reads. */
const HELLO = `(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1 2)
  (data (i32.const 0) "\\10\\00\\00\\00\\06\\00\\00\\00hello, hello, ")
  (data (i32.const 16) "hello ")
  (func (export "_start")
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 100)))
    (i32.store (i32.const 0) (i32.const 256))
    (i32.store (i32.const 4) (i32.const 4096))
    (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 100)))
    (i32.store (i32.const 4) (i32.load (i32.const 100)))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 104)))))`;

/** Fails for one of its inputs. */
const SQUARES = `import sys
n = int(sys.argv[1])
print(n * n)
sys.exit(n == 3)
`;

/** Leaves a file, says something, and has no end: its time would pass at once if it slept. */
const SCRIPT = `with open("made.txt", "w") as made:
    made.write("made")
print("waiting")
while True:
    pass
`;

const { file } = packed();
let folder: string;
let at: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-page-"));
  at = path.join(folder, "a page");
  const { version } = JSON.parse(await readFile("node_modules/typescript/package.json", "utf8")) as { version: string };
  await install(at, ...LIBRARIES.map((name) => file(name)), `typescript@${version}`, ...OTHERS);
  await cp("test/pack/page/page.ts", path.join(at, "page.ts"));
  await writeFile(path.join(at, "index.html"), HTML);
  await mkdir(path.join(at, MANY.source));
  await cp("test/pack/page/many.ts", path.join(at, MANY.source, "page.ts"));
  await writeFile(path.join(at, MANY.source, "index.html"), HTML);
  await writeFile(path.join(at, "tsconfig.json"), JSON.stringify(strictOf("page.ts", "many/page.ts")));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("a page", () => {
  let market: DemoMarket;
  let site: Awaited<ReturnType<typeof served>>;
  let many: Awaited<ReturnType<typeof served>>;
  let browser: Browser;
  const dist = (): string => path.join(at, "dist");
  const policy = (): string => `default-src 'none'; script-src 'self'; connect-src ${market.url} ${market.url.replace("http", "ws")}`;

  beforeAll(async () => {
    site = await served(dist(), policy);
    many = await served(path.join(at, MANY.built), policy);
    market = await demoMarket(
      process.execPath,
      path.resolve("packages/cli/bin/xeno.js"),
      path.join(folder, "market"),
      ...["--page", site.origin, "--page", many.origin],
    );
    browser = await startChromium(at);
  });
  afterAll(async () => {
    await browser.close();
    await market.close();
    site.server.close();
    many.server.close();
  });

  it("is typed to the last letter in a strict project that knows browsers alone", async () => {
    const checked = await ended(process.execPath, [path.join(at, "node_modules/.bin/tsc"), "-p", "."], {}, at);
    expect(checked.stdout).toBe("");
    expect(checked.code).toBe(0);
  });

  it("is one bundle of Vite's, with everything for a customer's story, within its size", async () => {
    const built = await ended(path.join(at, "node_modules/.bin/vite"), ["build"], {}, at);
    expect(built.code, built.stderr).toBe(0);
    // what is Node's is left empty by Vite, and said: one package looks for it where a platform has no crypto of its own
    const left = `${built.stdout}${built.stderr}`.split("\n").filter((line) => line.includes("externalized"));
    expect(left.filter((line) => !/"crypto".*@hpke\/common/.test(line))).toEqual([]);
    const length = await bytesOf(dist());
    console.log(`the bundle takes ${length} bytes with gzip`);
    expect(length).toBeGreaterThan(20 * 1024);
    expect(length).toBeLessThanOrEqual(GZIP_BYTES_MAX);
  });

  it("logs in, orders, sees the output, verifies the receipt and stops a script, by Market and in Chromium", async () => {
    const wasm = (await wabtInit()).parseWat("hello.wat", HELLO).toBinary({}).buffer;
    const tab = await browser.newPage();
    const errors: Error[] = [];
    tab.on("pageerror", (error) => errors.push(error));
    await tab.goto(site.origin);
    await tab.waitForFunction("globalThis.xeno !== undefined");
    const { party, fingerprint } = await tab.evaluate(async (url) => (globalThis as unknown as { xeno: Page }).xeno.login(url), market.url);
    expect(fingerprint).toMatch(/^([0-9a-f]{4} ){7}[0-9a-f]{4}$/);
    await market.credit(party);
    const token = await tab.evaluate(async () => (globalThis as unknown as { xeno: Page }).xeno.byToken(), null);
    expect(token).toMatchObject({ party, scopes: ["spend", "control", "read"] });
    const rented = await tab.evaluate(async ({ module, input }) => (globalThis as unknown as { xeno: Page }).xeno.rent(module, input), {
      module: Buffer.from(wasm).toString("base64"),
      input: "from a page",
    });
    expect(rented.pieces.join("").replaceAll("stdout: ", "")).toBe("hello from a page");
    expect(rented).toMatchObject({
      ...{ ok: true, verified: [true, true, true], okWhenBent: false, offers: 1, held: true },
      end: { reason: "completed", exitCode: 0, blame: "nobody" },
      leases: [{ id: rented.lease, label: "from a page" }],
    });
    expect(rented.states).toContain("running");
    expect(rented.lines).toEqual(expect.arrayContaining(["purchase order proved", "bill proved"]));
    const stopped = await tab.evaluate(async (source) => (globalThis as unknown as { xeno: Page }).xeno.stopped(source), SCRIPT);
    expect(stopped).toMatchObject({ said: "waiting\n", ok: false, reason: "customer-stop", files: ["made.txt"] });
    expect(errors).toEqual([]);
  });

  it("says in words what a page cannot do, before anything is ordered", async () => {
    const tab = await browser.newPage();
    await tab.goto(site.origin);
    await tab.waitForFunction("globalThis.xeno !== undefined");
    await tab.evaluate(async (url) => (globalThis as unknown as { xeno: Page }).xeno.login(url), market.url);
    const said = await tab.evaluate(async () => (globalThis as unknown as { xeno: Page }).xeno.refusals(), null);
    expect(said).toEqual(
      [
        ...["image is for a program on Node", "a page has no file a.py", "a page has no file a.wasm", "in is for a program on Node"],
        ...["a page has no file a: give its text or its bytes", "a script with asyncio", "main.py imports numpy"],
        ...["replicas is beyond what this page has loaded", "map is beyond", "dispute is beyond", "audit is beyond", "a page has no files"],
      ].map((words) => expect.stringContaining(words)),
    );
  });

  it("that has loaded what is beyond one lease maps over inputs, and asks for replicas and for a judge", async () => {
    const built = await ended(
      path.join(at, "node_modules/.bin/vite"),
      ["build", MANY.source, "--outDir", path.join(at, MANY.built)],
      {},
      at,
    );
    expect(built.code, built.stderr).toBe(0);
    console.log(`with what is beyond one lease the bundle takes ${await bytesOf(path.join(at, MANY.built))} bytes with gzip`);
    const tab = await browser.newPage();
    const errors: Error[] = [];
    tab.on("pageerror", (error) => errors.push(error));
    await tab.goto(many.origin);
    await tab.waitForFunction("globalThis.xeno !== undefined");
    await market.credit(await tab.evaluate(async (url) => (globalThis as unknown as { xeno: ManyPage }).xeno.login(url), market.url));
    const inputs = [1, 2, 3, 4, 5, 6, 7];
    const { came, leases } = await tab.evaluate(
      async ({ source, inputs }) => (globalThis as unknown as { xeno: ManyPage }).xeno.mapped(source, inputs),
      { source: SQUARES, inputs },
    );
    const wanted = inputs.map((n, index) => ({ ok: n !== 3, index, said: `${n * n}\n`, exitCode: Number(n === 3), verified: true }));
    expect(came).toEqual(wanted);
    expect(leases).toBeGreaterThan(0);
    const said = await tab.evaluate(async (lease) => (globalThis as unknown as { xeno: ManyPage }).xeno.refusals(lease), market.lease);
    expect(said).toEqual([
      ...["no_match", "not_found", "not_found"].map((code) => expect.stringContaining(`RefusedError: ${code}`)),
      expect.stringMatching(/resume is for a program on Node/),
    ]);
    expect(errors).toEqual([]);
  });

  it("of an origin that the operator does not name reads nothing", async () => {
    const other = await served(dist(), () => "default-src *; script-src 'self'");
    try {
      const tab = await browser.newPage();
      await tab.goto(other.origin);
      await tab.waitForFunction("globalThis.xeno !== undefined");
      const said = await tab.evaluate(async (url) => (globalThis as unknown as { xeno: Page }).xeno.refusal(url), market.url);
      expect(said).toMatch(/no broker answers at/);
    } finally {
      other.server.close();
    }
  });
});
