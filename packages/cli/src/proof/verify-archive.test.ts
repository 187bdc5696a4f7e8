/** A file of a market's archive, whole and spoiled, by the verb itself. */
import { createHash } from "node:crypto";
import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { ROLE_SCOPES } from "@xenoservers/market";
import type { Receipt } from "@xenoservers/protocol";
import { createSigner, nodeCrypto as crypto } from "@xenoservers/protocol/node";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { saveContext } from "@xenoservers/sdk";
import { retold } from "../../../verify/src/testing/moves.ts";
import { storyOf, type Story } from "../../../verify/src/testing/stories.ts";
import { Typed } from "../typed.fixture.ts";

const STORIES = ["completed by interval", "a machine, stopped by its customer"];
const told = (name: string): Story => storyOf({ crypto, createSigner }, name, 7);

let folder: string;
const typed = new Typed();
let receipts: Receipt[];

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-archive-"));
  vi.stubEnv("XENO_HOME", folder);
  receipts = STORIES.map((name) => retold(told(name), {}));
  const { pins, account, customer } = told(STORIES[0] ?? "").cast;
  await saveContext("m", {
    ...{ url: "http://127.0.0.1:1", pins, currency: "credits", party: customer, account, role: "device" },
    ...{ scopes: [...ROLE_SCOPES.device], label: "", leaseLabel: null, seed: "1".repeat(64) },
  });
  typed.listen();
});
afterEach(async () => {
  typed.leave();
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

/** As the broker writes them: each line by itself. */
const packed = (lines: readonly string[]): Buffer => Buffer.concat(lines.map((line) => gzipSync(`${line}\n`)));

async function verify(bytes: Uint8Array, ...options: string[]): Promise<number> {
  const file = path.join(folder, "2026-11-w.ndjson.gz");
  await writeFile(file, bytes);
  return typed.xeno("verify", file, ...options);
}
const lines = (): string[] => receipts.map((receipt) => JSON.stringify(receipt));

it("holds where each of its receipts does, without a broker", async () => {
  expect(await verify(packed(lines()))).toBe(0);
  for (const { lease } of receipts) expect(typed.said.stdout).toMatch(new RegExp(`holds +${lease}  \\d+ lines proved`));
  expect(typed.said.stderr).toBe("nothing in 2 receipts is wrong\n");
  expect(await verify(packed(lines()), "--json")).toBe(0);
  const told = typed.said.stdout
    .trim()
    .split("\n")
    .map((line): unknown => JSON.parse(line));
  expect(told).toMatchObject(receipts.map(({ lease }) => ({ lease, ok: true, failed: [] })));
});

it("does not where one of them does not, and says which", async () => {
  const [first, second = ""] = lines();
  const spoiled = second.replace(/"at":(\d)/, (_, digit: string) => `"at":${(Number(digit) % 9) + 1}`);
  expect(await verify(packed([first ?? "", spoiled, "no JSON"]))).toBe(1);
  expect(typed.said.stdout).toMatch(new RegExp(`holds +${receipts[0]?.lease}`));
  expect(typed.said.stdout).toMatch(new RegExp(`FAILED +${receipts[1]?.lease}  \\w+: `));
  expect(typed.said.stdout).toContain("a line of it is no JSON");
  expect(typed.said.stderr).toBe("2 of 3 receipts do NOT hold\n");
});

it("is told where it is not whole, with what of it was read", async () => {
  const whole = packed(lines());
  expect(await verify(whole.subarray(0, whole.length - 30))).toBe(1);
  expect(typed.said.stdout).toMatch(/holds/);
  expect(typed.said.stderr).toMatch(/after 1 receipt the file is not whole: /);
  expect(await verify(Buffer.concat([packed(lines().slice(0, 1)), gzipSync('{"cut":')]))).toBe(1);
  expect(typed.said.stderr).toContain("its last line is cut off");
  expect(await verify(Buffer.from("what is this"))).toBe(1);
  expect(typed.said.stderr).toMatch(/is no archive: /);
});

it("is read no further than a file of receipts can go", async () => {
  const bomb = gzipSync(Buffer.alloc(40 * 1024 * 1024, " "));
  expect(await verify(Buffer.concat([packed(lines()), bomb]))).toBe(1);
  expect(typed.said.stdout.match(/holds/g)).toHaveLength(2);
  expect(typed.said.stderr).toContain("it unpacks to more than 100 times its size");
  for (const brackets of ["[".repeat(100_000), "{},".repeat(50_000), `[${"0,".repeat(50_000)}0]`]) {
    expect(await verify(packed([...lines(), brackets]))).toBe(1);
    expect(typed.said.stderr).toContain("all brackets and commas");
  }
});

it("is given up where nothing in it holds", async () => {
  expect(await verify(gzipSync(`${lines()[0]}\n${"\n".repeat(3_000)}`))).toBe(1);
  expect(typed.said.stdout.split("\n")).toHaveLength(1_002);
  expect(typed.said.stderr).toContain("1000 receipts do not hold: the rest was not looked at");
  expect(typed.said.stderr).toContain("1000 of 1001 receipts do NOT hold");
});

it("says of a file that is too large that it is no receipt, without reading it", async () => {
  const file = path.join(folder, "large.json");
  await writeFile(file, "");
  await truncate(file, 600 * 1024 * 1024);
  expect(await typed.xeno("verify", file)).not.toBe(0);
  expect(typed.said.stderr).toContain("is larger than any receipt");
});

describe("a file of rows", () => {
  const rowOf = (lease: string, id = lease): string =>
    JSON.stringify({ format: "xenoservers-row-1", lease, row: { id, state: "final", more: 1 } });
  const verifyRows = async (
    bytes: Buffer,
    digest = createHash("sha256").update(bytes).digest("hex"),
    ...options: string[]
  ): Promise<number> => {
    const file = path.join(folder, `rows-${digest}.ndjson.gz`);
    await writeFile(file, bytes);
    return typed.xeno("verify", file, ...options);
  };

  it("is what its name says, and says that nothing in it is signed", async () => {
    const bytes = packed([rowOf("aa"), rowOf("bb")]);
    expect(await verifyRows(bytes)).toBe(0);
    expect(typed.said.stdout).toBe("row      aa  final\nrow      bb  final\n");
    expect(typed.said.stderr).toBe("2 rows, as their broker wrote them; nothing in a row is signed: receipts prove a lease\n");
    expect(await verifyRows(bytes, undefined, "--json")).toBe(0);
    expect(JSON.parse(typed.said.stdout.split("\n")[0] ?? "")).toEqual({ lease: "aa", state: "final" });
  });

  it.each<[string, string[], string]>([
    ["another file's name", [rowOf("aa")], "its digest is another"],
    ["another lease's row", [rowOf("aa"), rowOf("bb", "cc")], "after 1 row the file is not whole: line 2 is no row of a lease"],
    ["receipts in it", ["{}"], "line 1 is no row of a lease"],
    ["no JSON in it", ["aa"], "line 1 is no row of a lease"],
  ])("does not hold with %s", async (_what, rows, says) => {
    const bytes = packed(rows);
    expect(await verifyRows(bytes, says.includes("digest") ? "ab".repeat(32) : undefined)).toBe(1);
    expect(typed.said.stderr).toContain(says);
  });
});
