/** Machines in the page that a broker serves: in a real browser, against a real market whose server runs them, what a person does in it. */
import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { pageHere } from "../../packages/cli/src/local/page-here.ts";
import type { TestMarket } from "../process/market.ts";
import { busyboxLayout, initrd, kernel, machines, run, vmMarket, QUIET, VM_TOML } from "../vm/support.ts";
import { TYPEWRITER, disk } from "../vm/sector-disk.ts";
import { until } from "../until.ts";
import { PLAYWRIGHT, startChromium, type Browser, type Tab } from "./chromium.ts";
import { install } from "./install.ts";

/** Prints in colours, serves a port, and goes on until it is stopped. */
const SERVES = `printf '\\033[32mready\\033[0m <b>bold</b>\\n'
while :; do printf 'HTTP/1.0 200 OK\\r\\n\\r\\nfrom the guest' | nc -l -p 8080 >/dev/null; done`;
/** Asks for a word at its console. */
const ASKS = "echo which word; read word; echo got $word; poweroff -f";
/** What the machine's firmware has written is on the screen. */
const DRAWN = `(() => {
  const canvas = document.querySelector("canvas");
  if (!canvas || canvas.width < 320) return false;
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return data.some((value, at) => at % 4 !== 3 && value > 100);
})()`;
const MIB = 1024 * 1024;
/** More than is hashed while somebody presses a button. */
const LARGE_BYTES = 4096 * MIB;
/** Read at once. */
const PIECE_BYTES = MIB / 8;
/** Counts what is read of files from then on. */
const PIECES_COUNTED = `(() => {
  globalThis.piecesRead = 0;
  const read = Blob.prototype.arrayBuffer;
  Blob.prototype.arrayBuffer = function () {
    globalThis.piecesRead++;
    return read.call(this);
  };
  return null;
})()`;
/** More than a terminal's kernel holds, or one message of a channel. */
const LINES = 3_000;
/** A text that is pasted where somebody types. */
const pasted = (text: string): string => `(() => {
  const clipboardData = new DataTransfer();
  clipboardData.setData("text/plain", ${JSON.stringify(text)});
  document.activeElement.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
  return null;
})()`;

/** A file that is dropped on the field of that label. */
const droppedOn = (label: string, name: string, bytes: Buffer): string => `(() => {
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([Uint8Array.from(atob("${bytes.toString("base64")}"), (letter) => letter.charCodeAt(0))], "${name}"));
  const field = [...document.querySelectorAll("form .field")].find(({ textContent }) => textContent.includes("${label}"));
  for (const kind of ["dragover", "drop"]) field.dispatchEvent(new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true }));
  return null;
})()`;

machines("machines in the market's page", () => {
  let folder: string;
  let market: TestMarket;
  let browser: Browser;
  let tab: Tab;
  const wrong: string[] = [];
  const loaded: string[] = [];
  const held: Record<"archive" | "kernel" | "initrd", Buffer> = {
    archive: Buffer.alloc(0),
    kernel: Buffer.alloc(0),
    initrd: Buffer.alloc(0),
  };

  const button = (name: string) => tab.getByRole("button", { name, exact: true });
  const link = (name: string) => tab.getByRole("link", { name, exact: true });
  const box = (name: string) => tab.getByRole("textbox", { name, exact: true });
  const heading = (name: string | RegExp) => tab.getByRole("heading", { name, exact: true });
  const terminal = (of: "console" | "shell") => tab.getByRole("region", { name: `Terminal of the ${of}`, exact: true });
  const chosen = (name: RegExp, file: keyof typeof held) =>
    tab.getByRole("button", { name }).setInputFiles({ name: file, mimeType: "application/octet-stream", buffer: held[file] });

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-machines-dashboard-"));
    const at = path.join(folder, "a page");
    await install(at, PLAYWRIGHT);
    const archive = path.join(folder, "box.tar");
    await run("skopeo", ["copy", "--insecure-policy", `oci:${await busyboxLayout(folder)}:box`, `docker-archive:${archive}:box:1`]);
    held.archive = await readFile(archive);
    held.kernel = await readFile(await kernel());
    held.initrd = await initrd(ASKS);
    market = await vmMarket(VM_TOML, { page: pageHere });
    browser = await startChromium(at);
    tab = await (await browser.newContext({ locale: "en-GB" })).newPage();
    tab.on("pageerror", (error) => void wrong.push(error.message));
    tab.on("console", (message) => void (message.type() === "error" && wrong.push(message.text())));
    tab.on("request", (request) => void loaded.push(request.url()));
    await tab.goto(market.broker.url);
    await link("Key").click();
    await tab.getByRole("checkbox").check();
    await box("What to call you").fill("Wendy");
    await button("Make a key").click();
    await heading("Your key").waitFor();
    const party = /p_[0-9a-f]{40}/.exec(await tab.getByRole("main").innerText())?.[0] ?? "";
    const credit = { party, amountNanos: "10000000000", source: "operator", reference: "" } as const;
    await market.operator("credit", { ...credit, clientId: market.customer.newId() });
  });
  afterAll(async () => {
    await browser?.close();
    await market?.close();
    await rm(folder, { recursive: true, force: true });
  });
  beforeEach(() => () => {
    // the page's policy is kept to, too: what it refuses is an error of the console
    expect(wrong).toEqual([]);
  });

  async function machineForm(from = "Container image"): Promise<void> {
    await link("Run").click();
    await tab.getByRole("radio", { name: "Machine or container" }).check();
    // what was chosen last stays chosen
    await tab.getByRole("radio", { name: from }).check();
    await tab.getByRole("checkbox", { name: /emulates the machine/ }).check();
  }

  async function ordered(): Promise<void> {
    await button("Show what it costs").click();
    await heading("What it costs").waitFor();
    await button("Order and run").click();
    await heading(/^Lease /).waitFor();
  }

  const pathBox = () => box("Path of a folder or a file in the machine");
  const download = async (name: string): Promise<Buffer> => {
    const [came] = await Promise.all([tab.waitForEvent("download"), button(name).click()]);
    expect(came.suggestedFilename()).toBe(name);
    return readFile(await came.path());
  };

  /** A folder is looked into, a file put there, in place of another only where that is said, and brought back. */
  async function filesMoved(): Promise<void> {
    const [first, second] = [randomBytes(9 * MIB + 3), Buffer.from("another\n")];
    const put = (buffer: Buffer) =>
      tab
        .getByRole("button", { name: /^Put files into/ })
        .setInputFiles({ name: "notes.bin", mimeType: "application/octet-stream", buffer });
    await button("Open it").click();
    await button("etc/").click();
    await tab.getByRole("table", { name: "Files in /etc" }).waitFor();
    await button("passwd").waitFor();
    await button("Up").click();
    await tab.getByRole("table", { name: "Files in /", exact: true }).waitFor();
    await pathBox().fill("/tmp/../tmp//");
    await button("Open it").click();
    await tab.getByText("There is nothing in /tmp.").waitFor();
    expect(await pathBox().inputValue()).toBe("/tmp");
    await put(first);
    await tab.getByText("/tmp/notes.bin is there, all of its 9.0 MiB.").waitFor();
    await put(second);
    await tab.getByRole("alert").filter({ hasText: "/tmp/notes.bin is there already" }).waitFor();
    await button("Leave it as it is").click();
    expect((await download("notes.bin")).equals(first)).toBe(true);
    await tab.getByText("/tmp/notes.bin has come, all of its 9.0 MiB.").waitFor();
    // those behind it wait for the answer, and are put there one after another, each whole
    const several = ["notes.bin", "two.bin", "three.bin"].map((name) => ({ name, mimeType: "application/octet-stream", buffer: second }));
    await tab.getByRole("button", { name: /^Put files into/ }).setInputFiles(several);
    await tab.getByText("2 files wait: two.bin, three.bin").waitFor();
    await button("Leave it as it is").click();
    await tab.getByText("/tmp/three.bin is there, all of its 8 bytes.").waitFor();
    expect((await download("two.bin")).equals(second)).toBe(true);
    await put(second);
    await button("Put the new one in its place").click();
    await tab.getByText("/tmp/notes.bin is there, all of its 8 bytes.").waitFor();
    expect((await download("notes.bin")).equals(second)).toBe(true);
    await pathBox().fill("/nowhere");
    await button("Open it").click();
    await tab.getByRole("alert").filter({ hasText: "there is nothing at /nowhere in the machine" }).waitFor();
  }

  /** Paused, let go on, kept, and gone on with by a lease of its own. */
  async function stoodStillAndForked(): Promise<void> {
    expect(await button("Resume").count()).toBe(0);
    await button("Pause").click();
    await tab.getByText("It stands still, stays reserved and is paid for.").first().waitFor();
    await button("Resume").waitFor();
    expect([await button("Pause").count(), await button("Restart").count()]).toEqual([0, 0]);
    // whoever comes later is told by its server
    await tab.reload();
    await button("Resume").click();
    await tab.getByText("It goes on.", { exact: true }).waitFor();
    await button("Pause").waitFor();
    expect(await button("Resume").count()).toBe(0);
    await button("Take a snapshot").click();
    await tab.getByText(/^Snapshot [0-9a-f]+: its memory and disk are kept on the server until /).waitFor();
    await tab.getByText("Forks: leases that go on from where it is").click();
    await box("How many").fill("99");
    await button("Fork it").click();
    await tab.getByRole("alert").filter({ hasText: "forks are a number from 1 to" }).waitFor();
    await box("How many").fill("1");
    await button("Fork it").click();
    await tab.getByText("1 fork goes on from where it was.").waitFor();
    const own = await tab.evaluate<string>("location.hash");
    await tab.getByRole("list", { name: "Forks" }).getByRole("link").click();
    await tab.waitForFunction(`location.hash !== ${JSON.stringify(own)}`);
    await pathBox().waitFor();
    await pathBox().fill("/tmp");
    await button("Open it").click();
    await button("notes.bin").waitFor();
    await button("Stop").click();
    await tab.getByText("The broker settles the bill").waitFor();
    await tab.evaluate<null>(`(location.hash = ${JSON.stringify(own)}, null)`);
    await terminal("console").filter({ hasText: "ready <b>bold</b>" }).waitFor();
  }

  async function verified(): Promise<void> {
    await tab.getByText("The broker settles the bill").waitFor();
    await button("Verify the receipt").click();
    await tab.getByText(/^Nothing in it is wrong: \d+ lines proved/).waitFor();
  }

  it("loads the code of machines with the first of them", async () => {
    const scripts = (): string[] => loaded.filter((url) => url.endsWith(".js")).map((url) => /(\w+)-[\w-]{8}\.js$/.exec(url)?.[1] ?? url);
    expect(scripts()).toEqual(["app"]);
    await machineForm();
    await heading("Run").waitFor();
    await tab.getByRole("combobox", { name: "Server" }).waitFor();
    expect(scripts()).toEqual(["app", "machines"]);
  });

  it("says what is missing, and what is no image, before anything is ordered", async () => {
    await machineForm();
    await button("Show what it costs").click();
    await tab.getByRole("alert").filter({ hasText: "choose the archive of an image" }).waitFor();
    await chosen(/^Archive of an image/, "initrd");
    await button("Show what it costs").click();
    await tab.getByRole("alert").filter({ hasText: "is no archive of an OCI image" }).waitFor();
    await tab.getByText("nothing was ordered, held or charged").waitFor();
  });

  it("shows how far a large file is read, and reads no further where that is called off", async () => {
    const large = path.join(folder, "large.img");
    await writeFile(large, "");
    await truncate(large, LARGE_BYTES);
    await machineForm("Disk image");
    await tab.getByRole("button", { name: /^Disk image/ }).setInputFiles(large);
    await tab.evaluate<null>(PIECES_COUNTED);
    await button("Show what it costs").click();
    await tab.getByText(/^Reading large\.img: [\d.]+ MiB of 4\.0 GiB, [\d.]+ MiB a second, .* left$/).waitFor();
    await button("Call it off").click();
    await button("Show what it costs").waitFor();
    // a piece that was being read then is the last
    const pieces = (): Promise<number> => tab.evaluate<number>("globalThis.piecesRead");
    let [before, after] = [await pieces(), -1];
    while (before !== after) {
      before = await pieces();
      await tab.evaluate<null>("new Promise((later) => requestAnimationFrame(() => requestAnimationFrame(() => later(null))))");
      after = await pieces();
    }
    expect(after).toBeLessThan(LARGE_BYTES / PIECE_BYTES);
    expect(await button("Show what it costs").isEnabled()).toBe(true);
    expect(await tab.getByRole("alert").count()).toBe(0);
  });

  it("runs an image of an archive: its console, a shell in it, after a reload too, stopped, with a receipt that holds", async () => {
    await machineForm();
    await chosen(/^Archive of an image/, "archive");
    await box("Program and arguments, a line each (empty: the image’s own)").fill(`sh\n-c\n${SERVES.replaceAll("\n", "; ")}`);
    await box("Memory").fill("256M");
    await tab.getByRole("combobox", { name: "Network" }).selectOption("ports");
    await ordered();
    await terminal("console").filter({ hasText: "ready <b>bold</b>" }).waitFor();
    await button("Open a shell").click();
    await terminal("shell").filter({ hasText: "built-in shell" }).waitFor();
    await tab.keyboard.type("echo $((6*7))\n");
    await terminal("shell").filter({ hasText: "42" }).waitFor();
    await tab.keyboard.type("stty -echo; wc\n");
    await tab.evaluate<null>(pasted("a line that is pasted, of sixty letters and its end, is there\n".repeat(LINES)));
    await tab.keyboard.press("Control+d");
    await terminal("shell")
      .filter({ hasText: new RegExp(`${LINES} +${LINES * 13} +${LINES * 62}`) })
      .waitFor();
    await tab.keyboard.type("exit 3\n");
    await tab.getByText("The shell has ended with exit code 3.").waitFor();
    await box("Port").fill("8080");
    await button("Ask it").click();
    await tab.getByRole("log", { name: "answer" }).filter({ hasText: "from the guest" }).waitFor();
    await filesMoved();
    await stoodStillAndForked();
    await tab.reload();
    await terminal("console").filter({ hasText: "ready <b>bold</b>" }).waitFor();
    await button("Stop").click();
    await tab
      .getByText(/customer-stop/)
      .first()
      .waitFor();
    await verified();
  });

  it("boots a kernel whose RAM disk is dropped there, shows its screen, and types at its console", async () => {
    await machineForm("Kernel");
    await chosen(/^Linux kernel/, "kernel");
    await tab.evaluate<null>(droppedOn("RAM disk", "initrd", held.initrd));
    await box("Its command line (empty: it prints on its console)").fill(QUIET);
    await box("Memory").fill("192M");
    await tab.getByText("More", { exact: true }).click();
    await tab.getByRole("checkbox", { name: "A screen" }).check();
    await ordered();
    await terminal("console").filter({ hasText: "which word" }).waitFor();
    await button("Show the screen").click();
    await until(() => tab.evaluate<boolean>(DRAWN));
    await button("Open a shell").click();
    await tab
      .getByRole("alert")
      .filter({ hasText: /^(?:No shell could be opened|The shell was broken off): / })
      .waitFor();
    await tab.getByText("Click into it to type").waitFor();
    await terminal("console").click();
    await tab.keyboard.type("plover\n");
    await terminal("console").filter({ hasText: "got plover" }).waitFor();
    await tab.getByText(/completed with exit code 0/).waitFor();
    await verified();
  });

  it("boots what is on a plain disk, which is typed at on its console", async () => {
    await machineForm("Disk image");
    await tab.getByRole("button", { name: /^Disk image/ }).setInputFiles(await disk(folder, "typewriter", TYPEWRITER));
    await box("Memory").fill("192M");
    await ordered();
    await tab.getByText("Click into it to type").waitFor();
    await terminal("console").filter({ hasText: "Booting from Hard Disk" }).waitFor();
    await terminal("console").click();
    await tab.keyboard.type("plover");
    await terminal("console").filter({ hasText: "plover" }).waitFor();
    await button("Open it").click();
    await tab
      .getByRole("alert")
      .filter({ hasText: /^It was not done: / })
      .waitFor();
    await button("Stop").click();
    await tab.getByText("The broker settles the bill").waitFor();
    await verified();
  });
});
