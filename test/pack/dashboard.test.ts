/** The page that a broker serves, in a real browser, against a real market of the packed command: what a person does in it, by role and name. */
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { parseDocument, type Envelope } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { Market, MarketClient, RefusedError, fetchMarket, identityOf, pinsOf } from "@xenoservers/sdk";
import wabtInit from "wabt";
import { until } from "../until.ts";
import { PLAYWRIGHT, startChromium, type Browser, type Tab } from "./chromium.ts";
import { ended, install, packed } from "./install.ts";
import { demoMarket, type DemoMarket } from "./market.ts";

/** What would run, or be an element, if anybody took it for more than text. */
const BAD = '<img src=x onerror="document.title=1">';
const HOSTILE = `import sys
print('<script>document.title = "taken"</script>')
print('\\x1b[31mred \\u202eback')
print('<b>bold</b>', file=sys.stderr)
open('/out/<img src=x onerror=alert(1)>.txt', 'w').write('forty-two')
print(sys.stdin.read().strip(), *sys.argv[1:])
`;
const BAD_NAME = "$& <b>.csv";
const COUNTS = `import sys
lines = sum(1 for _ in open(sys.argv[1]))
print(lines, 'lines')
if lines == 0: sys.exit(3)
`;
const ENDLESS = "import time\nprint('begun')\nwhile True: pass\n";
const EXITS = `(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1 1)
  (func (export "_start") (call $exit (i32.const 7))))`;
/** What a script of the page takes at most with gzip, by the name that it begins with: what everyone loads, machines, a terminal. */
const GZIP_BYTES_MAX = { app: 209 * 1024, machines: 38 * 1024, xterm: 88 * 1024 };

const { file } = packed();
let folder: string;
let market: DemoMarket;
let browser: Browser;
const xeno = (): string => path.join(folder, "a page/node_modules/xenoservers/bin/xeno.js");

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-dashboard-"));
  const at = path.join(folder, "a page");
  await install(at, file("xenoservers"), PLAYWRIGHT);
  // fewer than a page keeps busy at once, whatever this machine has
  const server = path.join(folder, "market/server");
  await mkdir(server, { recursive: true, mode: 0o700 });
  await writeFile(path.join(server, "xenoserver.toml"), "[capacity]\nvcpu = 2\n");
  market = await demoMarket(process.execPath, xeno(), path.join(folder, "market"));
  browser = await startChromium(at);
});
afterAll(async () => {
  await browser.close();
  await market.close();
  await rm(folder, { recursive: true, force: true });
});

/** As the demo's customer. */
async function token(...words: string[]): Promise<string> {
  const args = [xeno(), "token", "create", "--label", "page", "--max-per-day", "2", "--json", ...words];
  const { stdout, stderr, code } = await ended(process.execPath, args, { XENO_HOME: path.join(folder, "market") });
  expect(code, stderr).toBe(0);
  return (JSON.parse(stdout) as { token: string }).token;
}

/** Of those that wait for room where they find none. */
function orderIds(sent: readonly { text: string }[]): string[] {
  const bodies = sent.flatMap(({ text }) => (text.includes('"waits":true') ? [text.slice(text.indexOf(" ") + 1)] : []));
  const ids = bodies.map((body) => {
    const parsed = parseDocument(nodeCrypto, (JSON.parse(body) as { envelope: Envelope }).envelope);
    if (!parsed.ok) throw new Error(parsed.code);
    return parsed.document.id;
  });
  return [...new Set(ids)];
}

/** As the demo's owner, whose machine it is. */
async function ownersToken(): Promise<string> {
  const people = JSON.parse(await readFile(path.join(folder, "market/people.json"), "utf8")) as { owner: string };
  const pins = pinsOf(await fetchMarket(market.url));
  const owner = Market.of(new MarketClient(market.url, pins, identityOf(Buffer.from(people.owner, "hex"))));
  return (await owner.tokens.create({ label: "page", scopes: ["read"] })).token;
}

describe("the market's page", () => {
  let tab: Tab;
  let close: () => Promise<void>;
  let openTab: () => Promise<Tab>;
  let addInitScript: (script: string) => Promise<void>;
  const wrong: string[] = [];
  const sent: { url: string; text: string }[] = [];

  beforeEach(async () => {
    const context = await browser.newContext({ locale: "en-GB" });
    tab = await context.newPage();
    close = () => context.close();
    openTab = () => context.newPage();
    addInitScript = (script) => context.addInitScript(script);
    [wrong.length, sent.length] = [0, 0];
    tab.on("pageerror", (error) => void wrong.push(error.message));
    tab.on("console", (message) => void (message.type() === "error" && wrong.push(message.text())));
    tab.on("request", (request) => void sent.push({ url: request.url(), text: `${request.url()} ${request.postData() ?? ""}` }));
    await tab.goto(market.url);
    return async () => {
      await close();
      expect(wrong).toEqual([]);
      // nothing of anybody else's
      expect(sent.filter(({ url }) => !url.startsWith(market.url) && !url.startsWith("blob:"))).toEqual([]);
    };
  });

  const button = (name: string) => tab.getByRole("button", { name, exact: true });
  const link = (name: string) => tab.getByRole("link", { name, exact: true });
  const box = (name: string) => tab.getByRole("textbox", { name, exact: true });
  const heading = (name: string) => tab.getByRole("heading", { name, exact: true });
  const confirm = (): Promise<void> => tab.getByRole("checkbox").check();

  async function enter(secret: string): Promise<void> {
    await link("Key").click();
    await confirm();
    await box("Token").fill(secret);
    await button("Use this token").click();
    await heading("Your key").waitFor();
  }

  async function order(script: string, more: Record<string, string> = {}): Promise<void> {
    await link("Run").click();
    await box("Script").fill(script);
    for (const [name, text] of Object.entries(more)) await box(name).fill(text);
    await button("Show what it costs").click();
    await heading("What it costs").waitFor();
    await button("Order and run").click();
    await tab.getByRole("heading", { name: /^Lease / }).waitFor();
  }

  it("shows anybody what the market is, how it does and what it offers, and searches", async () => {
    const table = tab.getByRole("table", { name: "Servers with room now" });
    await table.waitFor();
    await tab.getByText("serving", { exact: true }).waitFor();
    await tab.getByText(/\d+ entries, root/).waitFor();
    await tab.getByRole("textbox", { name: "Conditions" }).fill("mem>=900G");
    await button("Search").click();
    await tab.getByText(/No server fits now/).waitFor();
    await tab.getByRole("textbox", { name: "Conditions" }).fill("nonsense");
    await button("Search").click();
    await tab.getByRole("alert").filter({ hasText: "bad_input" }).waitFor();
  });

  it("is within its size: what everyone loads, and what comes with a machine and a terminal", async () => {
    const page = path.join(folder, "a page/node_modules/xenoservers/dist/page");
    const scripts = (await readdir(page)).filter((name) => name.endsWith(".js"));
    const sizes = await Promise.all(
      scripts.map(
        async (name) => [/^(\w+)-/.exec(name)?.[1] ?? name, gzipSync(await readFile(path.join(page, name)), { level: 9 }).length] as const,
      ),
    );
    console.log(`the page takes, with gzip: ${sizes.map(([name, bytes]) => `${name} ${bytes}`).join(", ")}`);
    expect(sizes.map(([name]) => name).toSorted()).toEqual(Object.keys(GZIP_BYTES_MAX));
    for (const [name, bytes] of sizes) expect(bytes, name).toBeLessThanOrEqual(GZIP_BYTES_MAX[name as keyof typeof GZIP_BYTES_MAX]);
  });

  it("takes no key before the fingerprint is confirmed, and no token of another market", async () => {
    await link("Leases").click();
    await heading("A key for this page").waitFor();
    expect(await button("Use this token").isEnabled()).toBe(false);
    expect(await button("Make a key").isEnabled()).toBe(false);
    await confirm();
    await box("Token").fill("0".repeat(64));
    await button("Use this token").click();
    await tab.getByRole("alert").filter({ hasText: "this is not a token" }).waitFor();
    const secret = await token();
    const { pins, ...more } = JSON.parse(Buffer.from(secret.slice("xeno-ci-".length), "base64url").toString()) as { pins: object };
    const other = { ...more, pins: { ...pins, operatorKey: "0".repeat(64) } };
    await box("Token").fill(`xeno-ci-${Buffer.from(JSON.stringify(other)).toString("base64url")}`);
    await button("Use this token").click();
    await tab.getByRole("alert").filter({ hasText: "another market" }).waitFor();
    expect(await tab.evaluate<number>("localStorage.length")).toBe(0);
  });

  it("runs a script by a token, shows what a stranger printed as text, and verifies the receipt", async () => {
    const secret = await token();
    await enter(secret);
    await order(HOSTILE, { Label: BAD, "Standard input": "from a page", "Arguments, a line each": "one\ntwo words" });
    const stdout = tab.getByRole("log", { name: "stdout" });
    await stdout.filter({ hasText: "from a page one two words" }).waitFor();
    await tab.getByText("All of it has come, as its server signed it.").waitFor();
    expect(await stdout.innerText()).toBe(
      '<script>document.title = "taken"</script>\n\\u001b[31mred \\u202eback\nfrom a page one two words\n',
    );
    expect(await tab.getByRole("log", { name: "stderr" }).innerText()).toBe("<b>bold</b>\n");
    const coming = tab.waitForEvent("download");
    await button("<img src=x onerror=alert(1)>.txt").click();
    const download = await coming;
    expect(await readFile(await download.path(), "utf8")).toBe("forty-two");
    await tab.getByText(/completed with exit code 0/).waitFor();
    await tab.getByText("The broker settles the bill").waitFor();
    await button("Verify the receipt").click();
    await tab.getByText(/^Nothing in it is wrong: \d+ lines proved/).waitFor();
    const receipt = await tab.getByRole("table", { name: "Receipt" }).innerText();
    expect(receipt).toMatch(/proved\s+purchase order/);
    expect(receipt).toMatch(/claimed\s+result/);
    await link("Leases").click();
    await tab
      .getByRole("row", { name: /exit 0/ })
      .filter({ hasText: BAD })
      .waitFor();
    await link("Wallet").click();
    await tab.getByRole("table", { name: "Statement" }).waitFor();
    expect(await tab.evaluate<unknown[]>("[document.title, document.querySelectorAll('img, script:not([src])').length]")).toEqual([
      expect.stringContaining("Xenoservers"),
      0,
    ]);
    // the key is never sent, and nothing of it stands in an address
    const { seed } = JSON.parse(Buffer.from(secret.slice("xeno-ci-".length), "base64url").toString()) as { seed: string };
    expect(sent.filter(({ text }) => text.includes(seed) || text.includes(secret))).toEqual([]);
    expect(tab.url()).not.toContain(secret);
  });

  it("follows a lease after a reload, and stops it", async () => {
    await enter(await token());
    await order(ENDLESS, { "Longest time (10m, 2h; may be empty)": "10m" });
    await tab.getByRole("log", { name: "stdout" }).filter({ hasText: "begun" }).waitFor();
    await tab.reload();
    await tab.getByRole("log", { name: "stdout" }).filter({ hasText: "begun" }).waitFor();
    await button("Stop").click();
    await tab
      .getByText(/customer-stop/)
      .first()
      .waitFor();
  });

  it("runs a module with a key that is made in the page, and says what to do where there is no money", async () => {
    await link("Key").click();
    await confirm();
    await box("What to call you").fill("Wendy");
    await button("Make a key").click();
    await heading("Your key").waitFor();
    const party = /p_[0-9a-f]{40}/.exec(await tab.getByRole("main").innerText())?.[0] ?? "";
    await link("Wallet").click();
    await tab.getByText(/There is nothing to spend/).waitFor();
    await market.credit(party);
    await link("Run").click();
    await tab.getByRole("radio", { name: "WebAssembly module" }).check();
    const buffer = Buffer.from((await wabtInit()).parseWat("exits.wat", EXITS).toBinary({}).buffer);
    await tab.getByRole("button", { name: /Module/ }).setInputFiles({ name: "exits.wasm", mimeType: "application/wasm", buffer });
    await button("Show what it costs").click();
    await heading("What it costs").waitFor();
    await tab.getByRole("radio", { name: "Python script" }).check();
    expect(await heading("What it costs").count(), "of the module, while a script is chosen").toBe(0);
    await tab.getByRole("radio", { name: "WebAssembly module" }).check();
    await button("Order and run").click();
    await tab.getByText(/completed with exit code 7/).waitFor();
    await tab.evaluate(
      "const kept = JSON.parse(localStorage['xenoservers-page-1']); kept.pins.operatorKey = '0'.repeat(64); localStorage['xenoservers-page-1'] = JSON.stringify(kept)",
    );
    await tab.reload();
    await tab.getByRole("alert").filter({ hasText: "broken_word" }).waitFor();
    await link("Key").click();
    await button("Forget this key").click();
    await button("Keep it").click();
    await button("Forget this key").click();
    await button("Forget it for ever").click();
    await heading("A key for this page").waitFor();
    expect(await tab.evaluate<number>("localStorage.length")).toBe(0);
  });

  it("runs one script for each of several files, and shows what became of each", async () => {
    await enter(await token());
    await link("Run").click();
    await box("Script").fill(COUNTS);
    const files = ["a b.csv", BAD_NAME, "none.csv"].map((name, i) => ({
      name,
      mimeType: "text/csv",
      buffer: Buffer.from("1,2\n".repeat(2 - i)),
    }));
    await tab.getByRole("button", { name: /^Files that it reads/ }).setInputFiles(files);
    await confirm();
    await button("Show what it costs").click();
    await button("Order 3 runs").click();
    await tab.getByText(/^3 of 3 runs over, 2 well; /).waitFor();
    const rows = (await tab.getByRole("table", { name: "Runs" }).innerText())
      .split("\n")
      .map((row) => row.split("\t").slice(0, 3).join(" "));
    expect(rows).toEqual(["file state printed", "a b.csv exit 0 2 lines", `${BAD_NAME} exit 0 1 lines`, "none.csv exit 3 0 lines"]);
    await button("Run something else").click();
    await box("Script").waitFor();
  });

  it("shows leases page by page, and withdraws what waits for room where its key is forgotten", async () => {
    const secret = await token();
    await enter(secret);
    for (const exitCode of [1, 2, 3]) {
      await order(`import sys; sys.exit(${exitCode})`);
      await tab.getByText(new RegExp(`completed with exit code ${exitCode}`)).waitFor();
    }
    await tab.route(/api\/v1\/leases\?/, (route) =>
      route.continue({
        url: route
          .request()
          .url()
          .replace(/limit=\d+/, "limit=1"),
      }),
    );
    await link("Leases").click();
    for (const [exitCode, other] of [
      [3, "Older"],
      [2, "Older"],
      [1, "Newer"],
      [2, "Newer"],
      [3, "Older"],
    ] as const) {
      await tab.getByRole("row", { name: new RegExp(`exit ${exitCode}`) }).waitFor();
      await button(other).click();
    }
    await link("Run").click();
    await box("Script").fill(ENDLESS);
    const files = Array.from({ length: 4 }, (_, i) => ({ name: `${i}.csv`, mimeType: "text/csv", buffer: Buffer.from("1\n") }));
    await tab.getByRole("button", { name: /^Files that it reads/ }).setInputFiles(files);
    await confirm();
    await button("Show what it costs").click();
    sent.length = 0;
    await button("Order 4 runs").click();
    const customer = await Market.connect({ token: secret });
    // null: it was sent, and is not taken yet
    const stands = (id: string) =>
      customer.client.read("order", { params: { id } }).catch((error: unknown) => {
        if (error instanceof RefusedError && error.code === "not_found") return null;
        throw error;
      });
    const waitsNow = async (): Promise<string[]> =>
      (await Promise.all(orderIds(sent).map(stands))).flatMap((order) => (order?.waiting ? [order.id] : []));
    const areTaken = async (): Promise<boolean> => (await Promise.all(orderIds(sent).map(stands))).every((order) => order !== null);
    await until(async () => orderIds(sent).length === 4 && (await areTaken()) && (await waitsNow()).length > 0);
    const waited = await waitsNow();
    await link("Key").click();
    await button("Forget this key").click();
    await heading("A key for this page").waitFor();
    await until(async () => (await waitsNow()).length === 0);
    for (const id of waited) expect(await stands(id)).toMatchObject({ lease: null });
    for (const id of orderIds(sent)) {
      const lease = (await stands(id))?.lease;
      if (lease) await customer.stop(lease);
    }
    customer.close();
  });

  it("has one key in all its tabs: none takes another's, and one that forgets it forgets it for all", async () => {
    const other = await openTab();
    await other.goto(market.url);
    for (const each of [tab, other]) {
      await each.getByRole("link", { name: "Key", exact: true }).click();
      await each.getByRole("checkbox").check();
    }
    await button("Make a key").click();
    const keys = [tab, other].map((each) => each.getByRole("heading", { name: "Your key", exact: true }).waitFor());
    await Promise.all(keys);
    const kept = await tab.evaluate<string>("localStorage['xenoservers-page-1']");
    const parties = await Promise.all(
      [tab, other].map(async (each) => /p_[0-9a-f]{40}/.exec(await each.getByRole("main").innerText())?.[0]),
    );
    expect(parties[0]).toBe(parties[1]);
    expect(await other.evaluate<string>("localStorage['xenoservers-page-1']")).toBe(kept);
    await button("Forget this key").click();
    await button("Forget it for ever").click();
    await other.getByRole("heading", { name: "A key for this page", exact: true }).waitFor();
  });

  it("shows the market where the browser keeps nothing, and says why it takes no key", async () => {
    await addInitScript("Object.defineProperty(globalThis, 'localStorage', { get() { throw new DOMException('no', 'SecurityError'); } })");
    await tab.reload();
    await tab.getByRole("table", { name: "Servers with room now" }).waitFor();
    await link("Key").click();
    await confirm();
    await button("Make a key").click();
    await tab.getByRole("alert").filter({ hasText: "this browser keeps nothing for this page" }).waitFor();
  });

  it("shows an owner its servers, what they earned and what runs on them", async () => {
    await enter(await ownersToken());
    await link("Servers").click();
    await tab.getByRole("row", { name: /takes orders/ }).waitFor();
    await heading("Income").waitFor();
    expect(await tab.getByRole("main").innerText()).toMatch(/settled\s+0\.0*[1-9]\d* credits, objections still possible/);
    await link("Run").click();
    await tab.getByText("This key may not spend").waitFor();
  });

  it("is used by the keyboard alone", async () => {
    await tab.getByRole("table", { name: "Servers with room now" }).waitFor();
    for (let i = 0; i < 7; i++) await tab.keyboard.press("Tab");
    expect(await tab.evaluate<string>("document.activeElement.textContent")).toBe("Key");
    await tab.keyboard.press("Enter");
    await heading("A key for this page").waitFor();
    expect(await tab.evaluate<string>("document.activeElement.tagName")).toBe("MAIN");
    await tab.keyboard.press("Tab");
    await tab.keyboard.press("Space");
    expect(await button("Make a key").isEnabled()).toBe(true);
  });

  it("fits a narrow screen", async () => {
    await tab.setViewportSize({ width: 360, height: 700 });
    for (const name of ["Market", "Key"]) {
      await link(name).click();
      expect(await tab.evaluate<number>("document.documentElement.scrollWidth"), name).toBeLessThanOrEqual(360);
    }
  });

  it("leaves whoever runs no script the market's front page", async () => {
    const context = await browser.newContext({ javaScriptEnabled: false });
    const plain = await context.newPage();
    await plain.goto(market.url);
    await plain.getByRole("heading", { name: "Rent one" }).waitFor();
    await context.close();
  });
});
