/**
 * A guest taken down at a breakpoint: everything that its further run depends on, as one text (the manifest) that names pieces by their
 * digests. The state's root is the digest of the manifest, so whoever has root and pieces can set the guest up again, and nobody can
 * change either. Who controls the inputs of `readState`: whoever hands over the manifest; the root says whether it is the right one,
 * never that it is true.
 */
import { PAGE_BYTES, type Sha256 } from "./memory-hash.ts";
import { notesOf, type Job, type Machine, type Outputs, type Standing } from "./machine.ts";
import { BadState, checkDescriptors, checkedTotals, isManifest, must } from "./machine-state-check.ts";
import { ADDED } from "./rewrite/added.ts";
import { randomAt, type Random } from "./random.ts";
import { STATE_FORMAT, type DescriptorRecord, type NodeRecord, type Phase, type StateManifest } from "./state-manifest.ts";
import type { Descriptor } from "./wasi/descriptors.ts";
import { setSize, wholeBytes, writeBytes } from "./wasi/file-bytes.ts";
import { FileSystem } from "./wasi/file-system.ts";
import { encodeUtf8 } from "./wasi/guest-memory.ts";
import { fileCapacity } from "./wasi/limits.ts";
import { measure } from "./wasi/names.ts";
import type { DirectoryNode, FileNode, Node } from "./wasi/nodes.ts";

export interface State {
  /** SHA-256 of the manifest, hex. */
  root: string;
  fuel: bigint;
  manifest: Uint8Array;
  /** Pieces that the manifest names, by digest; those seen in an earlier state of the same run are left out. */
  pieces: ReadonlyMap<string, Uint8Array>;
}

const hex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

function isZero(page: Uint8Array): boolean {
  const words = new BigUint64Array(page.buffer, page.byteOffset, page.length / 8);
  for (let i = 0; i < words.length; i++) if (words[i] !== 0n) return false;
  return true;
}

const globalNames = (machine: Machine): string[] =>
  Object.keys(machine.added!)
    .filter((name) => name.startsWith(ADDED.global))
    .sort();
const globalOf = (machine: Machine, name: string): { value: number | bigint } =>
  (machine.added as unknown as Record<string, { value: number | bigint }>)[name]!;

/** Takes the states of one run, one after the other. */
export class StateTaker {
  readonly #machine: Machine;
  readonly #sha256: Sha256;
  readonly #seen = new Set<string>();
  readonly #files = new WeakMap<FileNode, { version: number; digest: string }>();
  #pieces = new Map<string, Uint8Array>();

  constructor(machine: Machine) {
    this.#machine = machine;
    this.#sha256 = machine.job.sha256;
  }

  #piece(bytes: Uint8Array): string {
    const digest = hex(this.#sha256(bytes));
    if (!this.#seen.has(digest)) {
      this.#seen.add(digest);
      this.#pieces.set(digest, bytes.slice());
    }
    return digest;
  }

  #pages(): string[] {
    const memory = this.#machine.memory.all!;
    return Array.from({ length: memory.length / PAGE_BYTES }, (_, i) => {
      const page = memory.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES);
      return isZero(page) ? "" : this.#piece(page);
    });
  }

  #node(node: Node): NodeRecord {
    const { ino, links, atimeNs, mtimeNs, ctimeNs } = node;
    const common = {
      ino: ino.toString(),
      links,
      times: [atimeNs.toString(), mtimeNs.toString(), ctimeNs.toString()] as [string, string, string],
    };
    if (node.kind === "link") return { ...common, kind: "link", target: node.target.text };
    if (node.kind === "directory") {
      const { parent, readOnly, own } = node;
      const entries = [...node.entries]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, child]): [string, string] => [name, child.ino.toString()]);
      return { ...common, kind: "directory", entries, parent: parent?.ino.toString() ?? null, readOnly, own };
    }
    let known = this.#files.get(node);
    if (known?.version !== node.version) this.#files.set(node, (known = { version: node.version, digest: this.#piece(wholeBytes(node)) }));
    return { ...common, kind: "file", bytes: known.digest, size: node.size };
  }

  #descriptor(fd: number, descriptor: Descriptor): DescriptorRecord {
    const { rights, inheriting, flags } = descriptor;
    const common = { fd, rights: rights.toString(), inheriting: inheriting.toString(), flags };
    switch (descriptor.kind) {
      case "file":
        return { ...common, kind: "file", ino: descriptor.node.ino.toString(), offset: descriptor.offset };
      case "directory": {
        const listing = descriptor.listing?.map(({ name, ino, type }): [string, string, number] => [name, ino.toString(), type]) ?? null;
        return { ...common, kind: "directory", ino: descriptor.node.ino.toString(), preopen: descriptor.preopen, listing };
      }
      case "input":
        return { ...common, kind: "input", offset: descriptor.offset };
      case "output":
        return { ...common, kind: "output", stream: descriptor.stream };
    }
  }

  take(fuel: bigint, phase: Phase, stack: Uint8Array, written: Record<"stdout" | "stderr", Uint8Array>): State {
    const machine = this.#machine;
    this.#pieces = new Map();
    const descriptors = [...machine.descriptors.entries()].sort(([a], [b]) => a - b);
    const { files } = machine;
    const nodes = standingNodes(
      files.root,
      descriptors.map(([, each]) => each),
    );
    const manifest: StateManifest = {
      format: STATE_FORMAT,
      fuel: fuel.toString(),
      noted: machine.usedFuel.toString(),
      phase,
      refused: machine.added![ADDED.refused].value,
      pages: this.#pages(),
      stack: this.#piece(stack),
      globals: globalNames(machine).map((name) => [name, String(globalOf(machine, name).value)]),
      stdout: this.#piece(written.stdout),
      stderr: this.#piece(written.stderr),
      streamedBytes: machine.streamedBytes,
      sleptNs: machine.clock.sleptNs.toString(),
      random: machine.job.world.random.state().map(String),
      nextIno: files.nextIno.toString(),
      root: files.root.ino.toString(),
      nodes: nodes.map((node) => this.#node(node)),
      descriptors: descriptors.map(([fd, descriptor]) => this.#descriptor(fd, descriptor)),
    };
    const bytes = encodeUtf8(JSON.stringify(manifest));
    return { root: hex(this.#sha256(bytes)), fuel, manifest: bytes, pieces: this.#pieces };
  }
}

/** Everything that has a name or is held, by inode. */
function standingNodes(root: DirectoryNode, descriptors: readonly Descriptor[]): Node[] {
  const held = descriptors.flatMap((each) => (each.kind === "file" || each.kind === "directory" ? [each.node] : []));
  const found = new Set<Node>();
  const open: Node[] = [root, ...held];
  for (let node = open.pop(); node; node = open.pop()) {
    if (found.has(node)) continue;
    found.add(node);
    if (node.kind === "directory") for (const child of node.entries.values()) open.push(child);
  }
  return [...found].sort((a, b) => (a.ino < b.ino ? -1 : 1));
}

/** A piece of the right size. */
function pieceOf(piece: ReadState["piece"], digest: string, isRight: (length: number) => boolean): Uint8Array {
  const bytes = piece(digest);
  must(isRight(bytes.length));
  return bytes;
}

/** What was written before the state, and the call stack in it. Throws BadState. */
export function writtenBefore({ manifest, piece }: ReadState): Record<"stdout" | "stderr", Uint8Array> {
  const written = { stdout: piece(manifest.stdout), stderr: piece(manifest.stderr) };
  must(written.stdout.length + written.stderr.length === manifest.streamedBytes);
  return written;
}
export const stackOf = ({ manifest, piece }: ReadState, bytesMax: number): Uint8Array =>
  pieceOf(piece, manifest.stack, (length) => length <= bytesMax);

interface ReadState {
  manifest: StateManifest;
  piece(digest: string): Uint8Array;
}

/** Throws BadState where it is no manifest. */
export function readState(manifest: Uint8Array, piece: (digest: string) => Uint8Array): ReadState {
  let parsed: unknown = null;
  try {
    parsed = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(manifest));
  } catch {
    // it is no JSON
  }
  if (!isManifest(parsed) || parsed.format !== STATE_FORMAT) throw new BadState("the state to go on from is not a state's manifest");
  return { manifest: parsed, piece };
}

function restoredNode(record: NodeRecord): Node {
  const [atimeNs, mtimeNs, ctimeNs] = record.times.map(BigInt) as [bigint, bigint, bigint];
  const common = { ino: BigInt(record.ino), links: record.links, opens: 0, atimeNs, mtimeNs, ctimeNs };
  if (record.kind === "file") return { ...common, kind: "file", chunks: [], size: 0, version: 0 };
  if (record.kind === "link") return { ...common, kind: "link", target: measure(record.target) };
  const { readOnly, own } = record;
  return { ...common, kind: "directory", entries: new Map(), parent: null, name: { bytes: 0, escaped: 0 }, readOnly, own };
}

function restoreEntries(
  directory: DirectoryNode,
  record: Extract<NodeRecord, { kind: "directory" }>,
  nodes: ReadonlyMap<bigint, Node>,
): void {
  for (const [text, ino] of record.entries) {
    const child = nodes.get(BigInt(ino));
    must(child && !directory.entries.has(text));
    directory.entries.set(text, child);
    if (child.kind !== "directory") continue;
    const { bytes, escaped } = measure(text);
    child.name = { bytes, escaped };
  }
  const parent = record.parent === null ? null : nodes.get(BigInt(record.parent));
  must(parent === null || parent?.kind === "directory");
  directory.parent = parent;
}

/** The tree without what its files hold: that is fetched once it is known to fit. */
function restoreNodes({ manifest }: ReadState): Map<bigint, Node> {
  const nodes = new Map<bigint, Node>();
  for (const record of manifest.nodes) nodes.set(BigInt(record.ino), restoredNode(record));
  for (const record of manifest.nodes) {
    const node = nodes.get(BigInt(record.ino));
    if (record.kind === "directory" && node?.kind === "directory") restoreEntries(node, record, nodes);
  }
  must([...nodes.keys()].every((ino) => ino < BigInt(manifest.nextIno)));
  return nodes;
}

function restoreFiles({ manifest, piece }: ReadState, nodes: ReadonlyMap<bigint, Node>, quotaBytes: number): void {
  must(manifest.nodes.reduce((sum, record) => sum + (record.kind === "file" ? fileCapacity(record.size) : 0), 0) <= quotaBytes);
  for (const record of manifest.nodes) {
    const node = nodes.get(BigInt(record.ino));
    if (record.kind !== "file" || node?.kind !== "file") continue;
    const content = pieceOf(piece, record.bytes, (length) => length === record.size);
    setSize(node, record.size);
    writeBytes(node, 0, content);
  }
}

function restoreDescriptor(record: DescriptorRecord, nodes: ReadonlyMap<bigint, Node>, stdin: Uint8Array, outputs: Outputs): Descriptor {
  const common = { rights: BigInt(record.rights), inheriting: BigInt(record.inheriting), flags: record.flags };
  switch (record.kind) {
    case "file": {
      const node = nodes.get(BigInt(record.ino));
      must(node?.kind === "file");
      return { ...common, kind: "file", node, offset: record.offset };
    }
    case "directory": {
      const node = nodes.get(BigInt(record.ino));
      must(node?.kind === "directory");
      const listing = record.listing?.map(([name, ino, type]) => ({ name, ino: BigInt(ino), type })) ?? null;
      return { ...common, kind: "directory", node, preopen: record.preopen, listing };
    }
    case "input":
      return { ...common, kind: "input", bytes: stdin, offset: record.offset };
    case "output":
      return { ...common, kind: "output", stream: record.stream, write: outputs[record.stream] };
  }
}

/** What a Machine takes to stand where the state stood. Throws BadState. */
export function standingOf(state: ReadState, job: Job): (nowNs: () => bigint, outputs: Outputs) => Standing {
  return (nowNs, outputs) => {
    const { manifest } = state;
    checkDescriptors(manifest.descriptors);
    const nodes = restoreNodes(state);
    const root = nodes.get(BigInt(manifest.root));
    must(root?.kind === "directory" && manifest.streamedBytes <= job.streamBytesMax);
    restoreFiles(state, nodes, job.diskBytesMax);
    const descriptors = manifest.descriptors.map((record) => [record.fd, restoreDescriptor(record, nodes, job.stdin, outputs)] as const);
    for (const [, each] of descriptors) if (each.kind === "file" || each.kind === "directory") each.node.opens++;
    const files = new FileSystem(job.diskBytesMax, nowNs, { ...checkedTotals(root, nodes, job), root, nextIno: BigInt(manifest.nextIno) });
    return { files, descriptors, sleptNs: BigInt(manifest.sleptNs), streamedBytes: manifest.streamedBytes };
  };
}

export const randomOf = ({ manifest }: ReadState): Random => randomAt(manifest.random.map(BigInt));

/** Fills a fresh instance's memory and globals. Throws BadState. */
export function restoreInstance(machine: Machine, { manifest, piece }: ReadState): void {
  const added = machine.added!;
  const { memory } = added;
  const missing = manifest.pages.length - memory.buffer.byteLength / PAGE_BYTES;
  must(missing >= 0 && manifest.pages.length <= Math.min(machine.job.memoryPagesMax, notesOf(machine.job.module).maximum));
  must(manifest.phase === "main" || added[ADDED.start]);
  if (missing > 0) memory.grow(missing);
  const bytes = new Uint8Array(memory.buffer);
  for (const [i, digest] of manifest.pages.entries()) {
    const page = bytes.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES);
    if (digest === "") page.fill(0);
    else page.set(pieceOf(piece, digest, (length) => length === PAGE_BYTES));
  }
  const names = globalNames(machine);
  must(names.length === manifest.globals.length && names.every((name, i) => name === manifest.globals[i]![0]));
  for (const [name, value] of manifest.globals) {
    const global = globalOf(machine, name);
    global.value = typeof global.value === "bigint" ? BigInt(value) : Number(value);
  }
  added[ADDED.refused].value = manifest.refused;
  added[ADDED.fuel].value = machine.job.fuelMax - 1n - BigInt(manifest.noted);
}
