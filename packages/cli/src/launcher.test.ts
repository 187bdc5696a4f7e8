/** `bin/xeno` in a package as npm lays it out, with a Node that says what it was given: nothing but sh runs here. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, copyFile, lstat, mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { BROKER_HEAP } from "../../../test/process/settings.ts";

const BIN = path.join(import.meta.dirname, "../bin/xeno");
const BUNDLED = `node_modules/node-linux-${process.arch}/bin/node`;
/** Its own pid and arguments in a line each; then as the last one says. */
const NODE = `#!/bin/sh
for last; do :; done
[ "$last" != wait ] || trap 'exit 9' INT
printf '%s\\n' "$$" "$@"
case $last in
wait) while :; do read -r line || exit 0; done ;;
seven) exit 7 ;;
esac
`;

let root: string;
let launcher: string;
beforeEach(async () => {
  root = path.join(await realpath(await mkdtemp(path.join(tmpdir(), "xeno-bin-"))), "with space");
  launcher = path.join(root, "packages/cli/bin/xeno");
  for (const file of [launcher, path.join(root, BUNDLED)]) await mkdir(path.dirname(file), { recursive: true });
  await copyFile(BIN, launcher);
  await chmod(launcher, 0o755);
  await writeNode(path.join(root, BUNDLED));
});
afterEach(() => rm(path.dirname(root), { recursive: true, force: true }));

async function writeNode(file: string): Promise<void> {
  await writeFile(file, NODE);
  await chmod(file, 0o755);
}
const linked = async (at: string, target: string): Promise<string> => {
  const file = path.join(root, at);
  await mkdir(path.dirname(file), { recursive: true });
  await symlink(target, file);
  return file;
};
const ran = (file: string, args: string[] = [], options: { cwd?: string; env?: NodeJS.ProcessEnv } = {}): string[] =>
  execFileSync(file, args, { encoding: "utf8", ...options })
    .split("\n")
    .slice(1, -1);

const isLinux = process.platform === "linux";
describe.skipIf(!isLinux)("the launcher", () => {
  const given = (...args: string[]): string[] => ["--disable-warning=ExperimentalWarning", "--", `${launcher}.js`, ...args];

  it("starts the Node of its package by whatever link, from whatever folder, with what it was given", async () => {
    const npms = await linked("node_modules/.bin/xeno", "../@xenoservers/cli/bin/xeno");
    await linked("node_modules/@xenoservers/cli", "../../packages/cli");
    const chain = await linked("links/one", "../links/two");
    await linked("links/two", launcher);
    const args = ["run", "a b", "", "*", "--", "$HOME", "`x`"];
    for (const file of [launcher, npms, chain]) expect(ran(file, args, { cwd: "/" })).toEqual(given(...args));
    expect(ran("../../packages/cli/bin/xeno", ["v"], { cwd: path.join(root, "node_modules/.bin") })).toEqual(given("v"));
    const env = { PATH: `${path.dirname(npms)}:${process.env["PATH"]}`, CDPATH: "/usr" };
    expect(ran("xeno", ["v"], { cwd: "/", env })).toEqual(given("v"));
    expect(ran("sh", ["xeno", "v"], { cwd: path.dirname(launcher), env })).toEqual(given("v"));
    expect(ran("sh", ["-c", "cd /usr && exec xeno v"], { env })).toEqual(given("v"));
  });

  it("bounds the newest memory of a broker, which works on what strangers send, and of nothing else", async () => {
    expect(ran(launcher, ["broker", "--json"])).toEqual([BROKER_HEAP, ...given("broker", "--json")]);
    expect(ran(launcher, ["run", "broker"])).toEqual(given("run", "broker"));
    const semiSpaces = "v8.getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space').space_size";
    const grow = `const kept = []; let most = 0; for (let i = 0; i < 1e6; i++) { kept[i % 1e5] = { i, is: [i] }; if (i % 1e4 === 0) most = Math.max(most, ${semiSpaces}); } console.log(most)`;
    const most = (...flags: string[]): number => Number(execFileSync(process.execPath, [...flags, "-e", grow], { encoding: "utf8" }));
    // two halves, and while one is emptied into the other some pages more
    expect(most(BROKER_HEAP)).toBeLessThan(3 * 8 * 1024 * 1024);
    expect(most()).toBeGreaterThan(3 * 8 * 1024 * 1024);
  });

  it("takes the host's Node where none came with it, and says what is missing where there is none", async () => {
    await rm(path.join(root, BUNDLED));
    const bin = path.join(root, "host");
    await mkdir(bin);
    for (const tool of ["sh", "readlink", "uname"])
      await symlink(execFileSync("which", [tool], { encoding: "utf8" }).trim(), path.join(bin, tool));
    const child = spawn(launcher, ["v"], { env: { PATH: bin }, stdio: ["ignore", "pipe", "pipe"] });
    const [said, [code]] = await Promise.all([text(child.stderr), once(child, "close")]);
    expect([said, code]).toEqual([expect.stringMatching(/^xeno needs Node 22\.18 or later: none came with the package/), 125]);
    await writeNode(path.join(bin, "node"));
    expect(ran(launcher, ["v"], { env: { PATH: bin } })).toEqual(["--", `${launcher}.js`, "v"]);
  });

  // launchers of other packages left the program behind (SIGTERM to spawnSync), or ended 0 for one that a signal had ended
  it.each<[NodeJS.Signals, number | null, NodeJS.Signals | null]>([
    ["SIGTERM", null, "SIGTERM"],
    ["SIGKILL", null, "SIGKILL"],
    ["SIGINT", 9, null],
  ])("is its program: %s is the program's", async (signal, code, by) => {
    const child = spawn(launcher, ["wait"], { stdio: ["pipe", "pipe", "inherit"] });
    child.stdin.on("error", () => {}); // it may have ended by then
    const [first] = await once(child.stdout, "data");
    expect(String(first).split("\n")[0]).toBe(String(child.pid));
    const end = once(child, "exit");
    child.kill(signal);
    child.stdin.write("go on\n"); // a shell looks at its traps between two lines
    expect(await end).toEqual([code, by]);
  });

  it("ends as its program does, whose standard input is its own", async () => {
    const child = spawn(launcher, ["seven"], { stdio: "ignore" });
    expect((await once(child, "exit"))[0]).toBe(7);
  });
});

it("is what npm links and its scripts start", async () => {
  const json = async (file: string): Promise<unknown> => JSON.parse(await readFile(file, "utf8"));
  expect(await json("package.json")).toMatchObject({
    bin: { xeno: "packages/cli/bin/xeno" },
    scripts: { start: "packages/cli/bin/xeno demo", xeno: "packages/cli/bin/xeno" },
  });
  expect(await json("packages/cli/package.json")).toMatchObject({ bin: { xeno: "./bin/xeno" } });
  expect((await lstat(BIN)).mode & 0o111).toBe(0o111);
});
