/**
 * The engine's limits and all that stands behind them: what a guest can leave, by whatever calls, is taken by every later stage; what is counted before an
 * order is what the engine counts; and the numbers that are written twice are the same.
 */
import { closeSync } from "node:fs";
import { mkdir, mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import * as engine from "@xenoservers/engine";
import { LIMITS, fileEntry, type TreeEntry } from "@xenoservers/engine";
import * as market from "@xenoservers/market";
import { JOB_LIMITS, canonicalBytes, fileCost, jobMisfit, treeCost, zJobSpec, type JobSpec, type Json } from "@xenoservers/protocol";
import { MESSAGE_BYTES_MAX, zInputTree, zTree, type InputEntry, type InputTree } from "@xenoservers/protocol/channel";
import { checkedTotals } from "../../packages/engine/src/machine-state-check.ts";
import { MODULE_BYTES_MAX } from "../../packages/engine/src/rewrite/module-limits.ts";
import { WasiError } from "../../packages/engine/src/wasi/abi.ts";
import { FileSystem } from "../../packages/engine/src/wasi/file-system.ts";
import type { Node } from "../../packages/engine/src/wasi/nodes.ts";
import { parseChannelHeader } from "../../packages/protocol/src/channel/channel-messages.ts";
import { Kept, openHandIn } from "../../packages/guests/src/handed-in.ts";
import { HANDED_IN, HandIn, Keeping, type HandedIn } from "../../packages/guests/src/worker/handing.ts";
import { handIn, kept } from "../../packages/guests/src/worker/result.ts";
import { writeTree } from "../../packages/sdk/src/write-tree.ts";
import { GuestCalls } from "./guest-calls.ts";
import { thoroughly } from "../thorough.ts";

const MIB = 1024 * 1024;
const folder = mkdtemp(path.join(tmpdir(), "xeno-limits-"));
afterAll(async () => rm(await folder, { recursive: true, force: true }));
let made = 0;
const fresh = async () => path.join(await folder, String(++made));

/** Names that a hostile guest would try: long, of every alphabet, with what JSON and terminals make more of. */
const name = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom("a", "b", "c", "d") },
  fc.string({ unit: "binary", minLength: 1, maxLength: 90 }),
  fc.constantFrom(
    "x".repeat(255),
    "é".repeat(127),
    "\u0001".repeat(255),
    "\u{1f600}".repeat(63),
    '"'.repeat(200),
    "\\".repeat(255),
    "\u2028\u202e",
    "-rf",
    " ",
    "~",
    "con",
  ),
);
const where = fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));
const step = fc.oneof(
  fc.record({ call: fc.constant("mkdir" as const), to: where }),
  fc.record({ call: fc.constant("deep" as const), to: name, times: fc.integer({ min: 1, max: 40 }) }),
  fc.record({ call: fc.constant("file" as const), to: where, size: fc.constantFrom(0, 1, 100, 70_000) }),
  fc.record({
    call: fc.constant("symlink" as const),
    to: where,
    target: fc.oneof(name, fc.constantFrom("t".repeat(4_095), "../../..", "a/../b", "\u001b[2J")),
  }),
  fc.record({ call: fc.constant("link" as const), from: where, to: where }),
  fc.record({ call: fc.constant("rename" as const), from: where, to: where }),
  fc.record({ call: fc.constant("unlink" as const), to: where }),
  fc.record({ call: fc.constant("rmdir" as const), to: where }),
  fc.record({ call: fc.constant("hold" as const), to: where }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

function take(guest: GuestCalls, one: Step): void {
  switch (one.call) {
    case "mkdir":
      return void guest.mkdir(one.to);
    case "deep":
      for (let i = 1, at = one.to; i <= one.times && guest.mkdir(at) === "SUCCESS"; i++) at += `/${one.to}`;
      return;
    case "file":
      return void guest.file(one.to, one.size);
    case "symlink":
      return void guest.symlink(one.target, one.to);
    case "link":
      return void guest.link(one.from, one.to);
    case "rename":
      return void guest.rename(one.from, one.to);
    case "unlink":
      return void guest.unlink(one.to);
    case "rmdir":
      return void guest.rmdir(one.to);
    case "hold":
      return void guest.open(one.to);
  }
}

/** Every node that stands in the file system or is held. */
function nodesOf(guest: GuestCalls): Map<bigint, Node> {
  const open: Node[] = [guest.files.root, ...[...guest.descriptors.entries()].flatMap(([, each]) => ("node" in each ? [each.node] : []))];
  const nodes = new Map<bigint, Node>();
  for (let node = open.pop(); node; node = open.pop()) {
    if (nodes.has(node.ino)) continue;
    nodes.set(node.ino, node);
    if (node.kind === "directory") open.push(...node.entries.values());
  }
  return nodes;
}

/** What the guest left goes the way that a result goes; returns what came to the customer's folder. */
async function carry(guest: GuestCalls) {
  const at = await fresh();
  const home = `${at}-home`;
  await mkdir(at);
  const opened = openHandIn(at);
  const handing = new HandIn((file: HandedIn): number => opened[HANDED_IN.indexOf(file)] ?? -1);
  const nothing = {
    ending: "exit",
    exitCode: 0,
    detail: "",
    fuel: "0",
    fuelInAll: "0",
    roots: null,
    stateRoot: null,
    memoryHash: null,
    endedMonotonicMs: 0,
  } as const;
  handIn(
    nothing,
    kept(
      ["/out"],
      (mount) => guest.treeAt(mount),
      new Keeping(handing),
      () => {},
    ),
    handing,
  );
  for (const fd of opened) closeSync(fd);
  const text = await readFile(path.join(at, "result.json"), "utf8");
  const left = new Kept(at);
  const tree = zTree.parse((JSON.parse(text) as { tree: unknown }).tree);
  const envelope = {
    payloadType: "x".repeat(100),
    payload: "x".repeat(10_000),
    signatures: [{ keyid: "00".repeat(32), sig: "0".repeat(88) }],
  };
  const message = JSON.stringify({ t: "ended", result: envelope, tree, stdoutSize: 0, stderrSize: 0 });
  expect(Buffer.byteLength(text)).toBeLessThan(LIMITS.TREE_BYTES_MAX + 1_000);
  expect(Buffer.byteLength(message)).toBeLessThan(MESSAGE_BYTES_MAX);
  expect(parseChannelHeader(message)).toMatchObject({ t: "ended" });
  canonicalBytes(tree as unknown as Json);
  const skipped = await writeTree(home, tree, { fetch: ({ digest, size }) => left.read(digest, 0, size + 1) });
  return { tree, skipped, home };
}

describe("what a guest leaves", () => {
  it("is taken by every stage behind the engine, whatever calls made it; and the engine counts what is there", async () => {
    let entries = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async (steps) => {
        const guest = new GuestCalls(4 * MIB);
        for (const one of steps) take(guest, one);
        expect(
          checkedTotals(guest.files.root, nodesOf(guest), {
            mounts: [{ path: "/out", writable: true, entries: [] }],
            diskBytesMax: 4 * MIB,
          }),
        ).toEqual(guest.files.totals);
        const { tree, skipped, home } = await carry(guest);
        expect(new Set(tree.map((entry) => entry.path)).size).toBe(tree.length);
        entries += tree.length;
        if (tree.length > 0 && skipped.length === 0) expect(await readdir(home)).not.toEqual([]);
        for (const line of skipped) expect(line).toMatch(/: (its name (is too long|holds control characters)|a link )/);
        await rm(home, { recursive: true, force: true });
      }),
      { numRuns: 60 },
    );
    expect(entries).toBeGreaterThan(300);
  });

  thoroughly("can be 100,000 entries, or 32 MiB of names, or as deep as paths are long", async () => {
    const many = new GuestCalls(512 * MIB);
    while (many.symlink("t", `link-${many.files.totals.entries}`) === "SUCCESS");
    expect((await carry(many)).tree).toHaveLength(LIMITS.ENTRIES_MAX - 1);
    const long = new GuestCalls(512 * MIB);
    while (long.symlink("\u0002".repeat(4_000), `${"\u0001".repeat(240)}${long.files.totals.entries}`) === "SUCCESS");
    expect((await carry(long)).tree.length).toBeGreaterThan(1_000);
    const deep = new GuestCalls(512 * MIB);
    for (let at = "d"; deep.mkdir(at) === "SUCCESS"; at += "/d");
    const { tree } = await carry(deep);
    expect(tree).toHaveLength(Math.floor((4_095 - 4) / 2));
  });
});

const spec: JobSpec = {
  ...{ module: "aa".repeat(32), args: [], env: [], inputs: "00".repeat(32), stdin: "bb".repeat(32), engine: "e", preopens: [] },
  ...{ memoryMibMax: 16, diskMibMax: 16, outputMibMax: 1, fuelMax: "100000000000", seed: "00".repeat(32), clockBaseMs: 0 },
};
const fits = (over: Partial<JobSpec>, inputs: InputTree = { entries: [], mounts: [] }, sizes = { stdinSize: 0, moduleSize: 10 }) =>
  jobMisfit({ spec: { ...spec, ...over }, inputs, ...sizes });
const mount = (at: string) => ({ path: at, writable: true, keep: true });

/** As the engine mounts it; what it takes, or null where it does not. */
function placed({ entries, mounts }: InputTree) {
  const files = new FileSystem(64 * MIB, () => 0n);
  const below = (prefix: string): TreeEntry[] =>
    entries.flatMap((entry): TreeEntry[] => {
      if (!entry.path.startsWith(`${prefix}/`)) return [];
      const at = entry.path.slice(prefix.length + 1);
      return [entry.kind === "file" ? fileEntry(at, new Uint8Array(entry.size)) : { ...entry, path: at }];
    });
  try {
    const nodes = mounts.map((each) => [each.path.slice(1), files.mountAt(each.path.split("/").filter(Boolean))] as const);
    for (const [at, node] of nodes) files.place(node, below(at));
    return files.totals;
  } catch (error) {
    if (error instanceof WasiError) return null;
    throw error;
  }
}

describe("a job before it is ordered", () => {
  it("costs for its module's making what the engine will count, at every length", () => {
    fc.assert(fc.property(fc.nat({ max: MODULE_BYTES_MAX }), (size) => engine.preparationFuel(size) === market.preparationFuel(size)));
  });

  const entry: fc.Arbitrary<InputEntry> = fc.tuple(fc.constantFrom("in", "in/deep", "work/x", "elsewhere"), where).chain(([top, below]) =>
    fc.oneof(
      fc.record({ path: fc.constant(`${top}/${below}`), kind: fc.constant("directory" as const) }),
      fc.record({
        path: fc.constant(`${top}/${below}`),
        kind: fc.constant("file" as const),
        digest: fc.constant("cc".repeat(32)),
        size: fc.constantFrom(0, 1, 65, 70_000, MIB + 1),
      }),
      fc.record({ path: fc.constant(`${top}/${below}`), kind: fc.constant("link" as const), target: name }),
    ),
  );

  it("is counted as the engine counts it, and refused where the engine could not place it", () => {
    let [taken, refused] = [0, 0];
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 30 }), (entries) => {
        const inputs = { entries, mounts: [mount("/in"), mount("/work/x")] };
        fc.pre(zInputTree.safeParse(inputs).success && entries.every(({ path: at }) => !at.startsWith("elsewhere")));
        const counted = treeCost(inputs);
        const engine = placed(inputs);
        expect(counted.ok ? counted.cost : null, counted.ok ? "" : counted.why).toEqual(engine);
        if (engine) taken++;
        else refused++;
      }),
      { numRuns: 600, seed: 23 },
    );
    expect(Math.min(taken, refused)).toBeGreaterThan(10);
    for (let size = 0; size < 3 * MIB; size += 4_999) expect(fileCost(size)).toBe(LIMITS.fileCapacity(size));
  });

  it.each([
    [
      "larger than its disk",
      fits(
        { diskMibMax: 1 },
        { entries: [{ path: "in/a", kind: "file", digest: "cc".repeat(32), size: 2 * MIB }], mounts: [mount("/in")] },
      ),
      /--disk/,
    ],
    ["with standard input larger than its disk", fits({ diskMibMax: 1 }, undefined, { stdinSize: 2 * MIB, moduleSize: 1 }), /--disk/],
    [
      "with any file and no disk",
      fits({ diskMibMax: 0 }, { entries: [{ path: "in/a", kind: "directory" }], mounts: [mount("/in")] }),
      /--disk/,
    ],
    ["with a module larger than memory and disk", fits({}, undefined, { stdinSize: 0, moduleSize: 33 * MIB }), /--mem/],
    [
      "with a module larger than any",
      fits({ memoryMibMax: 4096 }, undefined, { stdinSize: 0, moduleSize: MODULE_BYTES_MAX + 1 }),
      /128 MiB are possible/,
    ],
    ["with more memory than WebAssembly has", fits({ memoryMibMax: 8192 }), /--mem/],
    ["with more disk than a job can have", fits({ diskMibMax: 70_000 }), /--disk/],
    ["with more output than is ordered otherwise", fits({ outputMibMax: 1_000 }), /--max-output/],
    [
      "with a name of 256 bytes",
      fits({}, { entries: [{ path: `in/${"é".repeat(128)}`, kind: "directory" }], mounts: [mount("/in")] }),
      /255 bytes/,
    ],
    ["with a mount inside a mount", fits({}, { entries: [], mounts: [mount("/in"), mount("/in/data")] }), /lies inside \/in/],
    [
      "with a mount inside a file",
      fits({}, { entries: [{ path: "a/b", kind: "file", digest: "cc".repeat(32), size: 1 }], mounts: [mount("/a/b/c")] }),
      /in no folder/,
    ],
    ["with one place taken twice", fits({}, { entries: [], mounts: [mount("/in"), mount("/in")] }), /same place/],
    [
      "with a file in a file",
      fits(
        {},
        {
          entries: [
            { path: "in/a", kind: "link", target: "x" },
            { path: "in/a/b", kind: "directory" },
          ],
          mounts: [mount("/in")],
        },
      ),
      /is no folder/,
    ],
    [
      "with the same bytes under two sizes",
      fits(
        {},
        {
          entries: [0, 1].map((size) => ({ path: `in/${size}`, kind: "file" as const, digest: "cc".repeat(32), size })),
          mounts: [mount("/in")],
        },
      ),
      /two sizes/,
    ],
    ["with an argument that is no text", fits({ args: ["\ud800"] }), /no text/],
    ["with a NUL in its environment", fits({ env: [["A", "b\0c"]] }), /no text/],
    ["with 3 MiB of arguments", fits({ args: Array.from({ length: 30 }, () => "x".repeat(100_000)) }), /bring a file/],
    ["with two thousand arguments", fits({ args: Array.from({ length: 2_000 }, () => "x") }), /more than 1024 arguments/],
  ])("is refused in words that say what to change: %s", (_what, misfit, words) => {
    expect(misfit).toMatch(words);
  });

  it("needs no disk where it brings and leaves nothing", () => {
    expect(fits({ diskMibMax: 0 }, { entries: [], mounts: [mount("/out"), mount("/tmp")] })).toBeNull();
  });

  it("of any kind that is taken fits one message of the channel", () => {
    const names = JOB_LIMITS.treeBytes;
    const piece = JSON.stringify({ digest: "00".repeat(32), size: JOB_LIMITS.fileBytes }).length + 1;
    const pieces = (65_536 + JOB_LIMITS.entries + 4) * piece;
    // each byte of an argument is six at most in JSON, each name of the environment stands in brackets
    const texts = JOB_LIMITS.argumentBytes * 6 + 2 * 1_024 * 10;
    const entries =
      JOB_LIMITS.entries * (JSON.stringify({ path: "", kind: "file", digest: "00".repeat(32), size: JOB_LIMITS.fileBytes }).length + 1);
    expect(entries).toBeLessThan(JOB_LIMITS.entries * JOB_LIMITS.treeEntryBytes);
    expect(names + pieces + texts + 100_000).toBeLessThan(MESSAGE_BYTES_MAX);
    expect(zJobSpec.safeParse(spec).success).toBe(true);
  });
});

it("writes the same numbers in the engine and in what customers are told", () => {
  expect(JOB_LIMITS).toMatchObject({
    nameBytes: LIMITS.NAME_BYTES_MAX,
    pathBytes: LIMITS.PATH_BYTES_MAX,
    targetBytes: LIMITS.TARGET_BYTES_MAX,
    entries: LIMITS.ENTRIES_MAX,
    fileBytes: LIMITS.FILE_BYTES_MAX,
    treeBytes: LIMITS.TREE_BYTES_MAX,
    treeEntryBytes: LIMITS.TREE_ENTRY_BYTES,
    nodeBytes: LIMITS.NODE_BYTES,
    entryBytes: LIMITS.ENTRY_BYTES,
    textCost: LIMITS.TEXT_COST,
    moduleBytes: MODULE_BYTES_MAX,
  });
  expect(zTree.safeParse(Array.from({ length: LIMITS.ENTRIES_MAX }, (_, i) => ({ path: `p${i}`, kind: "directory" }))).success).toBe(true);
});
