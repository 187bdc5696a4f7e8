/** What npm installs on macOS and Windows holds no program for Linux, and a customer's whole story needs nothing that only Linux has. */
import { mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ended, install, packed } from "./install.ts";
import { demoMarket, type DemoMarket } from "./market.ts";

const SYSTEMS = [
  ["darwin", "arm64"],
  ["win32", "x64"],
] as const;
/** The oldest that is promised. */
const NODE = "22.0.0";
const ELF = "\x7fELF";

const { file } = packed();
let folder: string;
const at = (os: string): string => path.join(folder, `for ${os}`);
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-elsewhere-"));
  for (const [os, cpu] of SYSTEMS) await install(at(os), file("xenoservers"), `--os=${os}`, `--cpu=${cpu}`, "--ignore-scripts");
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function startOf(name: string): Promise<string> {
  const handle = await open(name);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(4), 0, 4, 0);
    return buffer.toString("latin1", 0, bytesRead);
  } finally {
    await handle.close();
  }
}

describe.each(SYSTEMS)("on %s", (os) => {
  it("npm installs no program for Linux", async () => {
    const all = await readdir(at(os), { recursive: true, withFileTypes: true });
    const files = all.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
    expect(files.length).toBeGreaterThan(1_000);
    const programs: string[] = [];
    for (const name of files) if ((await startOf(name)) === ELF) programs.push(name);
    expect(programs).toEqual([]);
    expect(files.filter((name) => /linux/.test(path.relative(at(os), name)))).toEqual([]);
    // or it was installed for this system, and nothing was looked at
    expect(files.some((name) => name.includes(`@esbuild/${os}-`))).toBe(true);
  });
});

describe("a customer's verbs, installed for another system", () => {
  let market: DemoMarket;
  let node: string;
  let home: string;
  let lease: string;

  beforeAll(async () => {
    const own = path.join(folder, "node");
    await install(own, `node-linux-${process.arch}@${NODE}`);
    node = path.join(own, `node_modules/node-linux-${process.arch}/bin/node`);
    market = await demoMarket(process.execPath, path.resolve("packages/cli/bin/xeno.js"), path.join(folder, "market"));
    home = path.join(folder, "home");
    await mkdir(home);
  });
  afterAll(() => market.close());

  const hook = pathToFileURL(path.resolve("test/pack/customer-hook.mjs")).href;
  const xeno = (...args: string[]) =>
    ended(node, ["--import", hook, path.join(at("darwin"), "node_modules/xenoservers/dist/run.mjs"), ...args], { XENO_HOME: home }, home);
  async function right(...args: string[]): Promise<string> {
    const done = await xeno(...args);
    expect(done.code, `${args.join(" ")}: ${done.stderr}`).toBe(0);
    return done.stdout;
  }

  it("log in, order, run, and bring what came of it", async () => {
    // the launcher becomes the Node of the package where there is one: here there is none for this system
    const start = 'import { main } from "./main.js";\nawait main(process.argv.slice(2));\n';
    await writeFile(path.join(at("darwin"), "node_modules/xenoservers/dist/run.mjs"), start);
    await right("login", market.url, "--yes");
    const { party } = JSON.parse(await right("whoami", "--json")) as { party: string };
    await market.credit(party);
    await writeFile(path.join(home, "own.py"), 'open("made.txt", "w").write("kept")\nprint("hello")\n');
    expect(await right("run", "--out", "out", "own.py")).toBe("hello\n");
    expect(await readFile(path.join(home, "out/made.txt"), "utf8")).toBe("kept");
    const { leases } = JSON.parse(await right("ps", "--all", "--json")) as { leases: { id: string }[] };
    lease = leases[0]!.id;
  });

  it.each([
    [["--version"]],
    [["version", "--all"]],
    [["help", "run"]],
    [["completion"]],
    [["doctor"]],
    [["context", "ls"]],
    [["wallet"]],
    [["search", "mem>=256M"]],
    [["quote", "own.py"]],
    [["account", "create", "apart"]],
    [["limits", "set", "main", "1"]],
    [["token", "create", "--max-per-day", "1"]],
    [["token", "list"]],
    [["key", "add", "laptop"]],
    [["key", "backup", "keys.json"]],
    [["key", "restore", "keys.json"]],
    [["events"]],
    [["export", "all"]],
    [["logs", "LEASE"]],
    [["fetch", "LEASE", "--out", "again"]],
    [["lease", "show", "LEASE"]],
    [["lease", "result", "LEASE", "--out", "result"]],
    [["verify", "LEASE"]],
    [["receipt", "show", "LEASE"]],
    [["audit"]],
    [["key", "rotate"]],
  ])("know %j without anything of Linux's", async (words) => {
    const done = await xeno(...words.map((word) => (word === "LEASE" ? lease : word)));
    expect(done.stderr).not.toMatch(/a customer's verb loads|ERR_MODULE_NOT_FOUND|Cannot find/);
    expect(done.code, done.stderr).toBe(0);
  });

  it("are told where a verb is an owner's: the same hook stops it", async () => {
    expect((await xeno("serve", "--check")).stderr).toMatch(/a customer's verb loads @xenoservers\/xenoserver/);
  });
});
