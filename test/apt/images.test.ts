/**
 * Odd images, each made here, and the tree that a guest's kernel shows of it beside the trees of podman and umoci: every name, in bytes,
 * with kind, mode, owner, time, size, content, target, device, attributes and which names are one file. Where another program does
 * something else, the row says what, and why ours is as it is.
 */
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Refusal } from "../../packages/guests/src/qemu/refusal.ts";
import { BUILT, LARGE } from "./images/built.ts";
import { file, tar } from "./images/entries.ts";
import { differences } from "./images/differences.ts";
import { FIELDS, FORMATS } from "./images/formats.ts";
import { FURTHER } from "./images/further.ts";
import type { Layer } from "./images/layout.ts";
import { PACKED } from "./images/packed.ts";
import { LINKS, NAMES, PARENTS } from "./images/paths.ts";
import { REPORTED } from "./images/reported.ts";
import { plain, type Differs, type Row } from "./images/row.ts";
import { ourTree, podmanTree, umociTree, type Tree } from "./images/trees.ts";
import { WHITEOUTS } from "./images/whiteouts.ts";

const missing = ["podman", "umoci", "buildah", "sqfstar", "bsdtar", "mmdebstrap", "python3"].filter(
  (program) => spawnSync(program, ["--version"]).error,
);
const isRoot = process.getuid?.() === 0;
const skips = missing.length > 0 || !isRoot;
if (skips) console.warn(`SKIPPED: odd images need root, and of Debian's packages: ${missing.join(", ")}`);

let folder: string;
let last = 0;
beforeAll(async () => {
  // podman takes no capital letter in a layout's name
  folder = path.join(tmpdir(), `xeno-images-${randomBytes(6).toString("hex")}`);
  await mkdir(folder);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Of an image that says nothing of its root: podman 4 alone closes it to all but root. */
const ITS_ROOT = " mode: 755, 555";
/** A clock of a file system may be behind by a tick. */
const TICK_S = 2;

function refusalOf(error: unknown): Tree {
  if (error instanceof Refusal && error.fault === "bytes") return { ok: false, why: error.message };
  throw error;
}

function agrees(name: string, ours: Tree, theirs: Tree, differs: Differs | undefined, since: number): void {
  const what = differs?.[1];
  const told = `${name}: ${theirs.ok ? "" : theirs.why}`;
  if (!ours.ok) return expect(theirs.ok, told).toBe(what === "takes");
  expect(theirs.ok, told).toBe(what !== "refuses");
  if (!theirs.ok) return;
  const found = differences(ours.lines, theirs.lines, since).filter((each) => name !== "podman" || each !== ITS_ROOT);
  expect(found, name).toEqual(Array.isArray(what) ? what : []);
}

async function compare({ layers: made, refused, ...row }: Row): Promise<void> {
  const at = path.join(folder, `row${++last}`);
  await mkdir(path.join(at, "made"), { recursive: true });
  try {
    const layers: readonly Layer[] = typeof made === "function" ? await made(path.join(at, "made")) : made;
    const since = Math.floor(Date.now() / 1_000) - TICK_S;
    const [ours, podman, umoci] = await Promise.all([
      ourTree(path.join(at, "ours"), layers).then((lines): Tree => ({ ok: true, lines }), refusalOf),
      podmanTree(path.join(at, "podman"), layers),
      umociTree(path.join(at, "umoci"), layers),
    ]);
    expect(ours.ok ? "taken" : ours.why).toContain(refused ?? "taken");
    if (!ours.ok) expect(ours.why).toMatch(/layer \d+ of \d+, sha256:[0-9a-f]{12}/);
    agrees("podman", ours, podman, row.podman, since);
    agrees("umoci", ours, umoci, row.umoci, since);
  } finally {
    await rm(at, { recursive: true, force: true });
  }
}

const TABLES: readonly [name: string, rows: readonly Row[]][] = [
  ["whiteouts", WHITEOUTS],
  ["folders above", PARENTS],
  ["hard links", LINKS],
  ["names", NAMES],
  ["formats", FORMATS],
  ["fields", FIELDS],
  ["further ones", FURTHER],
  ["as people reported them", REPORTED],
  ["packings", PACKED],
  ["as programs build them", BUILT],
  ["large", LARGE],
];

describe.skipIf(skips).each(TABLES)("%s", (_, rows) => {
  it.each(rows)("$what", compare);
});

/** Where podman refuses with vfs, which is no overlay, what it takes with its default driver. */
const BY_OVERLAY: readonly [what: string, layers: Layer[]][] = [
  ["a file below what a lower layer has as a file", plain(tar(file("top", "t"), file("b", "b")), tar(file("top/below/file", "1")))],
  ["the same, three layers deep", plain(tar(file("top", "t")), tar(file("top/x", "x")), tar(file("top/x/y", "y"), file("top/z", "z")))],
];
describe.skipIf(skips)("as podman's overlay has it", () => {
  it.each(BY_OVERLAY)("%s", async (_, layers) => {
    const at = path.join(folder, `row${++last}`);
    const since = Math.floor(Date.now() / 1_000) - TICK_S;
    const [ours, theirs] = [await ourTree(path.join(at, "ours"), layers), await podmanTree(path.join(at, "podman"), layers, "overlay")];
    if (!theirs.ok) throw new Error(theirs.why);
    expect(differences(ours, theirs.lines, since).filter((each) => each !== ITS_ROOT)).toEqual([]);
  });
});
