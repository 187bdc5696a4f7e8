/** What `npm run pack` makes works for whoever has nothing else: by npm on several Nodes, without npm, in a program and in a bundle. */
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ended, install, packed, run } from "./install.ts";
import { demoMarket, type DemoMarket } from "./market.ts";

/** The oldest that is promised, the newest of its line, and the line that guests run on. */
const NODES = ["22.0.0", "22.23.3", "24.21.0"];
const LIBRARIES = ["@xenoservers/market", "@xenoservers/protocol", "@xenoservers/verify", "@xenoservers/sdk"];
/** What is on every machine; no Node and no npm among it. */
const BARE = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" };

const { file, folder: made } = packed();
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-packed-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const json = async (file: string): Promise<Record<string, unknown>> => JSON.parse(await readFile(file, "utf8")) as Record<string, unknown>;

/** Every file of an installed package of ours. */
async function filesOf(installed: string): Promise<string[]> {
  const all = await readdir(installed, { recursive: true, withFileTypes: true });
  return all.filter((file) => file.isFile()).map((file) => path.join(file.parentPath, file.name));
}

describe("the command, installed from its one file", () => {
  let at: string;
  let market: DemoMarket;
  const nodes = new Map<string, string>();

  beforeAll(async () => {
    at = path.join(folder, "an empty folder");
    await install(at, file("xenoservers"));
    for (const version of NODES) {
      const own = path.join(folder, `node-${version}`);
      await install(own, `node-linux-${process.arch}@${version}`);
      nodes.set(version, path.join(own, `node_modules/node-linux-${process.arch}/bin/node`));
    }
    market = await demoMarket(nodes.get("22.23.3")!, entry(), path.join(folder, "market"));
  });
  afterAll(() => market.close());
  const entry = (): string => path.join(at, "node_modules/xenoservers/bin/xeno.js");

  it("has two names for npx and for people, and says its version by both", async () => {
    for (const name of ["xeno", "xenoservers"]) {
      const { stdout } = await run("npx", ["--no-install", name, "--version"], { cwd: at });
      expect(stdout.trim()).toBe((await json("package.json"))["version"]);
    }
  });

  it("holds JavaScript, declarations and source maps, no test, and nothing of the machine that made it", async () => {
    const files = await filesOf(path.join(at, "node_modules/xenoservers"));
    expect(files.filter((file) => /(?<!\.d)\.ts$|\.(test|fixture)\.|\/testing\//.test(file))).toEqual([]);
    expect(files.filter((file) => file.endsWith(".js.map")).length).toBeGreaterThan(500);
    const root = path.resolve(".");
    for (const file of files) expect((await readFile(file, "utf8")).includes(root), file).toBe(false);
    for (const file of files.filter((name) => name.endsWith(".js.map"))) {
      const { sourceRoot, sources } = JSON.parse(await readFile(file, "utf8")) as { sourceRoot: string; sources: string[] };
      expect(sourceRoot, file).toMatch(/^xenoservers:\/\/\/([a-z]+\/src\/)?$/);
      for (const source of sources) expect(source, file).not.toMatch(/^\/|\.\.|:/);
    }
  });

  it.each(NODES)("is a customer's whole story on Node %s", async (version) => {
    const node = nodes.get(version)!;
    const home = path.join(folder, `home-${version}`);
    const xeno = (...args: string[]) => ended(node, [entry(), ...args], { XENO_HOME: home });
    expect(await xeno("login", market.url, "--yes")).toMatchObject({ code: 0 });
    const { party } = JSON.parse((await xeno("whoami", "--json")).stdout) as { party: string };
    await market.credit(party);
    expect((await xeno("search", "mem>=256M")).stdout).toContain("sandbox");

    const script = path.join(folder, `own-${version}.py`);
    await writeFile(script, 'import sys\nopen("made.txt", "w").write("kept")\nprint("hello", *sys.argv[1:])\n');
    const out = path.join(folder, `out-${version}`);
    const ran = await xeno("run", "--out", out, script, "from", "nothing");
    expect(ran, ran.stderr).toMatchObject({ code: 0, stdout: "hello from nothing\n" });
    expect(await readFile(path.join(out, "made.txt"), "utf8")).toBe("kept");

    const { leases } = JSON.parse((await xeno("ps", "--all", "--json")).stdout) as { leases: { id: string }[] };
    expect(leases).toHaveLength(1);
    const lease = leases[0]!.id;
    expect(await xeno("logs", lease)).toMatchObject({ code: 0, stdout: "hello from nothing\n" });
    const proof = await xeno("verify", lease, "--re-execute");
    expect(proof, proof.stderr).toMatchObject({ code: 0, stdout: expect.stringMatching(/proved +result/) });
    expect((await xeno("wallet")).code).toBe(0);
    expect((await xeno("run", script, "--no-such")).code).toBe(0); // words behind the program are the program's
    expect((await xeno("run", "--no-such", script)).code).toBe(125);
  });

  it("runs what it brings along: a job on this machine, without a market", async () => {
    const primes = path.join(at, "node_modules/xenoservers/examples/primes.py");
    const local = await ended(nodes.get("24.21.0")!, [entry(), "run", "--local", primes, "100"], {
      XENO_HOME: path.join(folder, "home-local"),
    });
    expect(local, local.stderr).toMatchObject({ code: 0, stdout: expect.stringContaining("25 primes up to 100") });
  });
});

/** Of an ELF file (its e_machine). */
const MACHINES: Readonly<Record<number, string>> = { 0x3e: "x64", 0xb7: "arm64" };

describe("the folder for machines without npm", () => {
  it.each(["x64", "arm64"])("holds programs for %s alone", async (machine) => {
    const at = path.join(folder, `for-${machine}`);
    await mkdir(at);
    await run("tar", ["-xzf", path.join(made, `xenoservers-linux-${machine}.tar.gz`), "-C", at]);
    // some packages bring builds for all machines in a folder of that name, and choose
    const files = (await filesOf(path.join(at, `xenoservers-linux-${machine}`))).filter((file) => !file.includes("/prebuilds/"));
    const kinds = new Map<string, string>();
    for (const file of files) {
      const start = (await readFile(file)).subarray(0, 20);
      if (start.toString("latin1", 0, 4) === "\x7fELF") kinds.set(path.basename(file), MACHINES[start.readUInt16LE(18)] ?? "another");
    }
    expect([...kinds.keys()]).toEqual(expect.arrayContaining(["node", "postgres", "initdb", "esbuild", "koffi.node"]));
    expect([...kinds].filter(([, of]) => of !== machine)).toEqual([]);
  });

  it("unpacks, and is a whole market with nothing but what every Linux has", async () => {
    const at = path.join(folder, "with a space");
    await mkdir(at);
    await run("tar", ["-xzf", path.join(made, `xenoservers-linux-${process.arch}.tar.gz`), "-C", at]);
    const xeno = path.join(at, `xenoservers-linux-${process.arch}/bin/xeno`);
    const env = { ...BARE, XENO_HOME: path.join(at, "home") };
    expect(JSON.parse((await ended(xeno, ["version", "--json"], env)).stdout)).toMatchObject({
      xeno: (await json("package.json"))["version"],
    });
    const demo = await ended(xeno, ["demo", "--once", "--json", "--data", path.join(at, "data"), "--port", "0"], env);
    expect(demo.code, demo.stderr).toBe(0);
    expect(JSON.parse(demo.stdout)).toMatchObject({ ok: true });
  });
});

/** What a program does that is built on the libraries: everything that it says has a type. */
const PROGRAM = `
import { Market, MarketClient, identityOf, listOf, pinsOf, fetchMarket } from "@xenoservers/sdk";
import { verifyReceipt } from "@xenoservers/verify";
import { formatMoney } from "@xenoservers/market";
import { nodeCrypto } from "@xenoservers/protocol/node";

const [url = ""] = process.argv.slice(2);
const client = new MarketClient(url, pinsOf(await fetchMarket(url)), identityOf(crypto.getRandomValues(new Uint8Array(32))));
const { party, signer } = client.identity;
await client.act("party", { party, name: "built", rootKey: signer.publicKey, recoveryKey: null });
let leases: number = 0;
const market: Market = Market.of(client);
market.close();
for await (const { state } of listOf(client, "leases", {})) leases += state === "settled" ? 1 : 0;
console.log(JSON.stringify({ party, leases, verify: typeof verifyReceipt, zero: formatMoney(0n), hash: nodeCrypto.sha256(new Uint8Array()).length }));
`;
const STRICT = {
  compilerOptions: {
    ...{ target: "es2024", module: "nodenext", lib: ["es2024", "dom", "esnext.disposable"], types: ["node"], strict: true },
    ...{ exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, skipLibCheck: false, outDir: "out" },
  },
  files: ["program.ts"],
};

describe("the libraries", () => {
  let at: string;
  let market: DemoMarket;
  beforeAll(async () => {
    at = path.join(folder, "a program");
    const typed = ["typescript", "@types/node", "esbuild"];
    const versions = typed.map(async (name) => `${name}@${String((await json(`node_modules/${name}/package.json`))["version"])}`);
    await install(at, ...LIBRARIES.map((name) => file(name)), ...(await Promise.all(versions)));
    await writeFile(path.join(at, "program.ts"), PROGRAM);
    await writeFile(path.join(at, "tsconfig.json"), JSON.stringify(STRICT));
    market = await demoMarket(process.execPath, path.resolve("packages/cli/bin/xeno.js"), path.join(folder, "market-2"));
  });
  afterAll(() => market.close());
  const says = { party: expect.stringMatching(/^p_/), leases: 0, verify: "function", zero: "0.0000", hash: 32 };

  it("are typed to the last letter for a strict project, and run as it was compiled", async () => {
    const compiled = await ended(process.execPath, [path.join(at, "node_modules/.bin/tsc"), "-p", "."], {}, at);
    expect(compiled.stdout).toBe("");
    const ran = await ended(process.execPath, ["out/program.js", market.url], {}, at);
    expect(ran.code, ran.stderr).toBe(0);
    expect(JSON.parse(ran.stdout)).toEqual(says);
  });

  it("are one file in a bundle for Node, which needs none of them beside it", async () => {
    const words = ["program.ts", "--bundle", "--platform=node", "--format=esm", "--outfile=bundle/program.mjs", ...WITH_REQUIRE];
    const built = await ended(path.join(at, "node_modules/.bin/esbuild"), words, {}, at);
    expect(built.code, built.stderr).toBe(0);
    const alone = path.join(folder, "alone.mjs");
    await writeFile(alone, await readFile(path.join(at, "bundle/program.mjs")));
    const ran = await ended(process.execPath, [alone, market.url]);
    expect(ran.code, ran.stderr).toBe(0);
    expect(JSON.parse(ran.stdout)).toEqual(says);
  });
});

/** Some of others' packages ask for modules by `require`. */
const WITH_REQUIRE = ['--banner:js=import { createRequire } from "node:module"; const require = createRequire(import.meta.url);'];
