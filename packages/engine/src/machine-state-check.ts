/**
 * Whether what was handed over as a state's manifest is one that a guest can have been in: shapes first, then the tree, its descriptors
 * and what they take. Who controls the inputs: whoever hands the manifest over, every byte. Whatever is wrong with it is the state's
 * fault, never the host's.
 */
import type { Job } from "./machine.ts";
import type { DescriptorRecord, NodeRecord, StateManifest } from "./state-manifest.ts";
import { DIRECTORY_RIGHTS, FILETYPE, FILE_RIGHTS, STDIN_RIGHTS, STDOUT_RIGHTS } from "./wasi/abi.ts";
import { listedCost, type Totals } from "./wasi/file-system.ts";
import {
  DESCRIPTORS_MAX,
  ENTRIES_MAX,
  ENTRY_BYTES,
  FILE_BYTES_MAX,
  HARD_LINKS_MAX,
  LISTED_BYTES,
  LISTINGS_BYTES_MAX,
  NAME_BYTES_MAX,
  PATH_BYTES_MAX,
  TARGET_BYTES_MAX,
  TEXT_COST,
  TREE_BYTES_MAX,
} from "./wasi/limits.ts";
import { measure, utf8Length } from "./wasi/names.ts";
import { costOf, type DirectoryNode, type Node } from "./wasi/nodes.ts";

/** The state is not one that this job can be in. */
export class BadState extends Error {}

export const must: (condition: unknown) => asserts condition = (condition) => {
  if (!condition) throw new BadState("the state to go on from is not one of this job");
};

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);
const isCount = (value: unknown, most = Number.MAX_SAFE_INTEGER): value is number =>
  Number.isSafeInteger(value) && Number(value) >= 0 && Number(value) <= most;
const isText = (value: unknown): value is string => typeof value === "string" && value.isWellFormed();
const isDecimal = (value: unknown): value is string => typeof value === "string" && /^\d{1,30}$/.test(value);
const isInteger = (value: unknown): value is string => typeof value === "string" && /^-?\d{1,30}$/.test(value);
const isDigest = (value: unknown): value is string => typeof value === "string" && /^[0-9a-f]{64}$/.test(value);
const isList = (value: unknown, each: (one: unknown) => boolean): boolean => Array.isArray(value) && value.every(each);
const isPair = (value: unknown, first: (one: unknown) => boolean, second: (one: unknown) => boolean): boolean =>
  Array.isArray(value) && value.length === 2 && first(value[0]) && second(value[1]);

const isName = (value: unknown): boolean =>
  isText(value) && value !== "" && value !== "." && value !== ".." && !/[/\0]/.test(value) && utf8Length(value) <= NAME_BYTES_MAX;

function isNode(value: unknown): boolean {
  if (!isObject(value) || !isDecimal(value["ino"]) || !isCount(value["links"], HARD_LINKS_MAX)) return false;
  if (!Array.isArray(value["times"]) || value["times"].length !== 3 || !value["times"].every(isDecimal)) return false;
  if (value["kind"] === "file") return isDigest(value["bytes"]) && isCount(value["size"], FILE_BYTES_MAX);
  if (value["kind"] === "link") {
    const target = value["target"];
    return isText(target) && target !== "" && !target.includes("\0") && utf8Length(target) <= TARGET_BYTES_MAX;
  }
  return (
    value["kind"] === "directory" &&
    isList(value["entries"], (entry) => isPair(entry, isName, isDecimal)) &&
    (value["parent"] === null || isDecimal(value["parent"])) &&
    typeof value["readOnly"] === "boolean" &&
    typeof value["own"] === "boolean"
  );
}

const isListed = (value: unknown): boolean =>
  Array.isArray(value) && value.length === 3 && isText(value[0]) && isDecimal(value[1]) && Object.values(FILETYPE).includes(value[2]);

/** What rights a descriptor of each kind can have at most. */
const RIGHTS_OF: ReadonlyMap<unknown, bigint> = new Map(
  Object.entries({ file: FILE_RIGHTS, directory: DIRECTORY_RIGHTS, input: STDIN_RIGHTS, output: STDOUT_RIGHTS }),
);

function isDescriptor(value: unknown): boolean {
  if (!isObject(value) || !isCount(value["fd"], 0xffff_ffff) || !isCount(value["flags"], 31)) return false;
  const { kind, rights, inheriting } = value;
  const most = RIGHTS_OF.get(kind);
  if (most === undefined || !isDecimal(rights) || !isDecimal(inheriting)) return false;
  if ((BigInt(rights) & ~most) !== 0n || (BigInt(inheriting) & ~(DIRECTORY_RIGHTS | FILE_RIGHTS)) !== 0n) return false;
  if (kind === "file") return isDecimal(value["ino"]) && isCount(value["offset"]);
  if (kind === "input") return isCount(value["offset"]);
  if (kind === "output") return value["stream"] === "stdout" || value["stream"] === "stderr";
  return (
    isDecimal(value["ino"]) &&
    (value["preopen"] === null || isText(value["preopen"])) &&
    (value["listing"] === null || isList(value["listing"], isListed))
  );
}

/** The shape alone: every field is there and of its kind. */
export function isManifest(value: unknown): value is StateManifest {
  if (!isObject(value)) return false;
  const { phase, refused, pages, globals, random, nodes, descriptors, streamedBytes } = value;
  const isPage = (page: unknown): boolean => page === "" || isDigest(page);
  return (
    (phase === "start" || phase === "main") &&
    isDecimal(value["fuel"]) &&
    BigInt(value["fuel"]) > 0n &&
    isDecimal(value["noted"]) &&
    (refused === 0 || refused === 1) &&
    isList(pages, isPage) &&
    ["stack", "stdout", "stderr"].every((key) => isDigest(value[key])) &&
    isList(globals, (each) => isPair(each, isText, isInteger)) &&
    isCount(streamedBytes) &&
    isDecimal(value["sleptNs"]) &&
    Array.isArray(random) &&
    random.length === 4 &&
    random.every((word) => isDecimal(word) && BigInt(word) < 1n << 64n) &&
    isDecimal(value["nextIno"]) &&
    isDecimal(value["root"]) &&
    isList(nodes, isNode) &&
    isList(descriptors, isDescriptor) &&
    new Set((nodes as NodeRecord[]).map(({ ino }) => ino)).size === (nodes as NodeRecord[]).length &&
    new Set((descriptors as DescriptorRecord[]).map(({ fd }) => fd)).size === (descriptors as DescriptorRecord[]).length
  );
}

/**
 * Walks the tree from its root: each folder once, each name within its limits. Adds up what it takes, and counts the names of each node.
 */
function walk(root: DirectoryNode): { totals: Totals; names: Map<Node, number> } {
  const totals: Totals = { usedBytes: 0, entries: 0, treeBytes: 0 };
  const names = new Map<Node, number>([[root, 1]]);
  must(root.parent === null);
  const open = [{ directory: root, bytes: 1, escaped: 0 }];
  for (let at = open.pop(); at; at = open.pop()) {
    for (const [text, node] of at.directory.entries) {
      const name = node.kind === "directory" ? node.name : measure(text);
      const { bytes } = name;
      const own = node.kind === "directory" && node.own;
      totals.entries++;
      totals.treeBytes += at.escaped + listedCost(name, node);
      if (!own) totals.usedBytes += ENTRY_BYTES + TEXT_COST * bytes;
      must(at.bytes + bytes <= PATH_BYTES_MAX && totals.entries <= ENTRIES_MAX);
      const before = names.get(node) ?? 0;
      names.set(node, before + 1);
      if (node.kind !== "directory") continue;
      must(before === 0 && node.parent === at.directory);
      open.push({ directory: node, bytes: at.bytes + bytes + 1, escaped: at.escaped + name.escaped + 1 });
    }
  }
  return { totals, names };
}

/** Whether the folders that cost nothing, and those that may not be written to, are those that the job's mounts made. */
function checkOwn(root: DirectoryNode, nodes: Iterable<Node>, mounts: Job["mounts"]): void {
  const own = new Set<Node>([root]);
  const readOnly = new Set<Node>();
  for (const { path, writable } of mounts) {
    let at = root;
    for (const part of path.split("/").filter(Boolean)) {
      const next = at.entries.get(part);
      must(next?.kind === "directory");
      own.add((at = next));
    }
    if (!writable) readOnly.add(at);
  }
  for (const node of nodes) must(node.kind !== "directory" || (node.own === own.has(node) && node.readOnly === readOnly.has(node)));
}

/**
 * What the tree takes; throws BadState where it is none, does not fit the job, or its nodes are not exactly those that have a name or are
 * held.
 */
export function checkedTotals(root: DirectoryNode, nodes: ReadonlyMap<bigint, Node>, job: Pick<Job, "mounts" | "diskBytesMax">): Totals {
  const { totals, names } = walk(root);
  for (const node of nodes.values()) {
    const count = names.get(node) ?? 0;
    must(node.links === count && (count > 0 || (node.opens > 0 && (node.kind !== "directory" || node.entries.size === 0))));
    if (count === 0) totals.entries++;
    totals.usedBytes += costOf(node);
  }
  checkOwn(root, nodes.values(), job.mounts);
  must(totals.entries <= ENTRIES_MAX && totals.treeBytes <= TREE_BYTES_MAX && totals.usedBytes <= job.diskBytesMax);
  return totals;
}

/** Whether the descriptors are no more than a guest can hold. */
export function checkDescriptors(records: readonly DescriptorRecord[]): void {
  let listed = 0;
  for (const record of records)
    if (record.kind === "directory") for (const [name] of record.listing ?? []) listed += LISTED_BYTES + utf8Length(name);
  must(records.length <= DESCRIPTORS_MAX && listed <= LISTINGS_BYTES_MAX);
}
