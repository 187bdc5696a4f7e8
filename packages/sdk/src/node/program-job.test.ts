/** What `xeno run` refuses before it asks anybody: in words that name the option to change. */
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileBlob } from "../tree.ts";
import wabtInit from "wabt";
import { afterAll, beforeAll, expect, it } from "vitest";
import { parseJob, sharedFolder, type JobArgs } from "./program-job.ts";
import { parseSizeMib } from "../words.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-args-"));
  const text = '(module (memory (export "memory") 4096) (func (export "_start")))';
  await writeFile(path.join(folder, "big.wasm"), new Uint8Array((await wabtInit()).parseWat("t.wat", text).toBinary({}).buffer));
  await writeFile(path.join(folder, "job.py"), "print('hello')");
  await mkdir(path.join(folder, "in"));
  await writeFile(path.join(folder, "in", "data"), new Uint8Array(3 << 20));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const parse = async (file: string, over: Partial<JobArgs> = {}) =>
  parseJob({
    file: path.join(folder, file),
    args: [],
    dir: [],
    env: [],
    memoryMib: 512,
    diskMib: 256,
    outputMib: 64,
    fuelMax: 10n ** 12n,
    check: await import("@xenoservers/engine/check"),
    ...over,
  });
const at = (name: string) => path.join(folder, name);

it("takes what fits", async () => {
  await expect(parse("job.py")).resolves.toMatchObject({ isPython: true });
  await expect(parse("big.wasm", { diskMib: 0 })).resolves.toBeDefined();
  await expect(parse("job.py", { in: at("in"), diskMib: 4 })).resolves.toBeDefined();
});

it("looks for modules beside what a linked script leads to, as Python does", async () => {
  await mkdir(at("real"));
  await writeFile(at("real/main.py"), "import helper\n");
  await writeFile(at("real/helper.py"), "");
  await symlink("real/main.py", at("linked.py"));
  await expect(parse("linked.py")).rejects.toThrow(/imports helper, which lies beside it: bring that folder in with --dir \S*real::\/$/);
  const { input } = await parse("linked.py", { dir: [`${folder}::/work`] });
  expect(input.env.find(([name]) => name === "PYTHONPATH")?.[1]).toBe("/work/real");
});

it("takes the module out of a component that only wraps it, and names another", async () => {
  const module = await readFile(at("big.wasm"));
  const section = (id: number, bytes: Uint8Array | number[]): number[] => [id, bytes.length, ...bytes];
  const run = section(11, [1, 0, 18, ...Buffer.from("wasi:cli/run@0.2.3"), 5, 0, 0]);
  const [head, wrapped] = [[0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0], section(1, module)];
  await writeFile(at("component.wasm"), Uint8Array.from([...head, ...wrapped, ...run]));
  await writeFile(at("other.wasm"), Uint8Array.from([...head, ...wrapped]));
  const { isUnwrapped, input } = await parse("component.wasm");
  expect([isUnwrapped, input.module.digest, input.args]).toEqual([true, (await fileBlob(at("big.wasm"))).digest, ["component.wasm"]]);
  expect((await parse("big.wasm")).isUnwrapped).toBe(false);
  await expect(parse("other.wasm")).rejects.toThrow(
    /other\.wasm cannot run: it is a component \(WASI 0\.2 or later\) with nothing to run by itself/,
  );
});

it("says before anything is searched or signed what to change", async () => {
  await expect(parse("job.py", { in: at("in"), diskMib: 2 })).rejects.toThrow("--disk");
  await expect(parse("job.py", { diskMib: 0 })).rejects.toThrow("--disk");
  await expect(parse("big.wasm", { memoryMib: 64 })).rejects.toThrow(
    "the module needs 256 MiB of memory before it runs; 64 MiB are ordered: order more (--mem)",
  );
  await expect(parse("job.py", { memoryMib: 8 })).rejects.toThrow("--mem");
  await expect(parse("job.py", { memoryMib: 8_192 })).rejects.toThrow("--mem");
  await expect(parse("job.py", { outputMib: 4_096 })).rejects.toThrow("--max-output");
  await expect(parse("job.py", { dir: [`${at("in")}::/out/more`] })).rejects.toThrow("/out/more lies inside /out");
  await expect(parse("job.py", { dir: [`${at("in")}::/${"é".repeat(200)}`] })).rejects.toThrow("255 bytes");
});

it("takes a folder that is brought to Python's own place, or below it", async () => {
  for (const place of ["", "/kit"]) {
    const site = `/usr/local/lib/python3.12/site-packages${place}`;
    const { input } = await parse("job.py", { dir: [`${at("in")}::${site}`] });
    expect(input.mounts.filter(({ mount }) => mount.path.startsWith(site))).toHaveLength(1);
    expect(input.mounts.find(({ mount }) => mount.path === "/app")?.entries.map((entry) => entry.path)).toContain("sitecustomize.py");
    expect(input.env.find(([name]) => name === "PYTHONPATH")?.[1].split(":")).toContain("/app");
  }
});

it("opens for the guest what was asked for, in that order, and a working directory", async () => {
  const open = async (file: string, over: Partial<JobArgs> = {}) => (await parse(file, over)).input.preopens;
  // as . too, last: modules' C libraries of 2019 and 2020 know it by no other name
  expect(await open("big.wasm")).toEqual([
    ["/", "/out"],
    ["/out", "/out"],
    ["/tmp", "/tmp"],
    [".", "/out"],
  ]);
  expect(await open("job.py", { in: at("in") })).toEqual([
    ["/", "/out"],
    ["/in", "/in"],
    ["/out", "/out"],
    ["/tmp", "/tmp"],
    ["/app", "/app"],
    ["/usr/local/lib/python3.12/site-packages", "/usr/local/lib/python3.12/site-packages"],
  ]);
  expect(await open("big.wasm", { dir: [`${at("in")}::/`] })).toEqual([
    ["/", "/.work"],
    [".", "/.work"],
  ]);
  expect(await open("big.wasm", { dir: [`${at("in")}::/data/`, `${at("in")}/::/`], out: "o" })).toEqual([
    ["/data", "/data"],
    ["/", "/.work"],
    ["/out", "/out"],
    [".", "/.work"],
  ]);
  expect(await open("big.wasm", { dir: [`${at("in")}::data`] })).toEqual([
    ["/data", "/data"],
    ["/", "/out"],
    ["/out", "/out"],
    [".", "/out"],
  ]);
});

it.each<[string, ReturnType<typeof sharedFolder>]>([
  [".", { host: ".", guest: "/" }],
  ["./", { host: "./", guest: "/" }],
  [".::/", { host: ".", guest: "/" }],
  ["data", { host: "data", guest: "/data" }],
  ["./data/", { host: "./data/", guest: "/data" }],
  ["/srv/x", { host: "/srv/x", guest: "/srv/x" }],
  ["../x::/x", { host: "../x", guest: "/x" }],
])("reads --dir %s", (typed, meant) => {
  expect(sharedFolder(typed)).toEqual(meant);
});

// docker/cli 2460: on Windows the path in the guest was one long name with backslashes
it.each<[string, ReturnType<typeof sharedFolder>]>([
  [".", { host: ".", guest: "/" }],
  [".\\sub\\in", { host: ".\\sub\\in", guest: "/sub/in" }],
  ["sub\\", { host: "sub\\", guest: "/sub" }],
  ["C:\\data::/data", { host: "C:\\data", guest: "/data" }],
  ["C:\\data::\\data\\x", { host: "C:\\data", guest: "/data/x" }],
  ["C:/data::data", { host: "C:/data", guest: "/data" }],
  ["sub:://data", { host: "sub", guest: "/data" }],
  ["\\srv\\x", { host: "\\srv\\x", guest: "/srv/x" }],
])("reads --dir %s on Windows", (typed, meant) => {
  expect(sharedFolder(typed, true)).toEqual(meant);
});

it.each([
  ["C:\\data", "--dir: no guest has C:\\data: say where it lies there: C:\\data::/data"],
  ["c:data", "--dir: no guest has c:data"],
  ["\\\\server\\share\\data", "say where it lies there"],
  ["data::C:/Program Files/Git/data", "MSYS_NO_PATHCONV=1"],
  ["..\\x", "must be HOST"],
  ["x::\\a\\..\\b", "must be HOST"],
  ["x::\\out", "/out is taken"],
])("refuses --dir %s on Windows in words", (typed, says) => {
  expect(() => sharedFolder(typed, true)).toThrow(says);
});

it.each(["", "::/x", "x::", "../x", "x::/a/../b", "x::/out", "x::/tmp/", "x::/.work"])("refuses --dir %s in words", (typed) => {
  expect(() => sharedFolder(typed)).toThrow("--dir");
});

it("reads no size as none, where none makes sense", () => {
  expect(parseSizeMib("0", "--disk", 0)).toBe(0);
  expect(() => parseSizeMib("0", "--mem")).toThrow("is not a size");
});
