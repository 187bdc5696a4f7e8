/**
 * A guest taken down at a checkpoint: everything that its further run depends on, as one text (the manifest) that names pieces by their digests.
 * The state's root is the digest of the manifest, so whoever has root and pieces can set the guest up again, and nobody can change either.
 * Who controls the inputs of `readState`: whoever hands over the manifest; the root says whether it is the right one, never that it is true.
 */
import { PAGE_BYTES, type Sha256 } from "./memory-hash.ts";
import type { Machine, Outputs, Standing } from "./machine.ts";
import { ADDED } from "./rewrite/rewrite.ts";
import { randomAt, type Random } from "./random.ts";
import type { Descriptor } from "./wasi/descriptors.ts";
import { FileSystem, type DirectoryNode, type FileNode, type Node } from "./wasi/file-system.ts";
import { encodeUtf8 } from "./wasi/guest-memory.ts";

export const STATE_FORMAT = "xeno-state-1";

/** Which of the module's two entries the guest is in. */
export type Phase = "start" | "main";

interface NodeRecord {
  ino: string;
  kind: Node["kind"];
  links: number;
  times: [string, string, string];
  bytes?: string;
  size?: number;
  capacity?: number;
  target?: string;
  entries?: [string, string][];
  parent?: string | null;
  readOnly?: boolean;
}

type DescriptorRecord = { fd: number; rights: string; inheriting: string; flags: number } & (
  | { kind: "file"; ino: string; offset: number }
  | { kind: "directory"; ino: string; preopen: string | null; listing: [string, string, number][] | null }
  | { kind: "input"; offset: number }
  | { kind: "output"; stream: "stdout" | "stderr" }
);

export interface StateManifest {
  format: typeof STATE_FORMAT;
  /** Used so far; decimal. */
  fuel: string;
  /** What the engine's global says of it: that of the last call, entry or finished loop. */
  noted: string;
  phase: Phase;
  refused: number;
  /** Digest of each page of memory, "" for one of zeros. */
  pages: string[];
  /** Digest of the unwound call stack. */
  stack: string;
  /** Each mutable global that the module's author wrote, by its exported name. */
  globals: [string, string][];
  /** Digests of what was written so far. */
  stdout: string;
  stderr: string;
  streamedBytes: number;
  sleptNs: string;
  random: string[];
  usedBytes: number;
  nextIno: string;
  root: string;
  nodes: NodeRecord[];
  descriptors: DescriptorRecord[];
}

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
    const { ino, kind, links, atimeNs, mtimeNs, ctimeNs } = node;
    const record: NodeRecord = { ino: ino.toString(), kind, links, times: [atimeNs.toString(), mtimeNs.toString(), ctimeNs.toString()] };
    if (node.kind === "link") return { ...record, target: node.target };
    if (node.kind === "directory") {
      const entries = [...node.entries].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, child]): [string, string] => [name, child.ino.toString()]);
      return { ...record, entries, parent: node.parent?.ino.toString() ?? null, readOnly: node.readOnly };
    }
    let known = this.#files.get(node);
    if (known?.version !== node.version) this.#files.set(node, (known = { version: node.version, digest: this.#piece(node.bytes.subarray(0, node.size)) }));
    return { ...record, bytes: known.digest, size: node.size, capacity: node.bytes.length };
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
    const open = descriptors.flatMap(([, each]) => (each.kind === "file" || each.kind === "directory" ? [each.node] : []));
    const files = machine.files.snapshot(open);
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
      usedBytes: files.usedBytes,
      nextIno: files.nextIno.toString(),
      root: files.root.toString(),
      nodes: [...files.nodes.values()].sort((a, b) => (a.ino < b.ino ? -1 : 1)).map((node) => this.#node(node)),
      descriptors: descriptors.map(([fd, descriptor]) => this.#descriptor(fd, descriptor)),
    };
    const bytes = encodeUtf8(JSON.stringify(manifest));
    return { root: hex(this.#sha256(bytes)), fuel, manifest: bytes, pieces: this.#pieces };
  }
}

/** The state is not one that this job can be in. */
export class BadState extends Error {}

const must: (condition: unknown) => asserts condition = (condition) => {
  if (!condition) throw new BadState("the state to go on from is not one of this job");
};

export interface ReadState {
  manifest: StateManifest;
  piece(digest: string): Uint8Array;
}

/** Throws BadState where it is no manifest. */
export function readState(manifest: Uint8Array, piece: (digest: string) => Uint8Array): ReadState {
  try {
    const parsed = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(manifest)) as StateManifest;
    must(parsed.format === STATE_FORMAT && (parsed.phase === "start" || parsed.phase === "main") && Array.isArray(parsed.pages) && BigInt(parsed.fuel) > 0n);
    return { manifest: parsed, piece };
  } catch {
    throw new BadState("the state to go on from is not a state's manifest");
  }
}

function restoreNodes({ manifest, piece }: ReadState): Map<bigint, Node> {
  const nodes = new Map<bigint, Node>();
  for (const { ino, kind, links, times, bytes, size, capacity, target, readOnly } of manifest.nodes) {
    const common = { ino: BigInt(ino), links, atimeNs: BigInt(times[0]), mtimeNs: BigInt(times[1]), ctimeNs: BigInt(times[2]) };
    if (kind === "file") {
      const content = piece(bytes!);
      must(content.length === size! && capacity! >= size!);
      const held = new Uint8Array(capacity!);
      held.set(content);
      nodes.set(common.ino, { ...common, kind, bytes: held, size: size!, version: 0 });
    } else if (kind === "link") nodes.set(common.ino, { ...common, kind, target: target! });
    else nodes.set(common.ino, { ...common, kind: "directory", entries: new Map(), parent: null, readOnly: readOnly === true });
  }
  for (const { ino, kind, entries, parent } of manifest.nodes) {
    if (kind !== "directory") continue;
    const node = nodes.get(BigInt(ino)) as DirectoryNode;
    for (const [name, child] of entries!) {
      must(nodes.has(BigInt(child)));
      node.entries.set(name, nodes.get(BigInt(child))!);
    }
    const above = parent == null ? null : nodes.get(BigInt(parent));
    must(above === null || above?.kind === "directory");
    node.parent = above;
  }
  return nodes;
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

/** What a Machine takes to stand where the state stood. */
export function standingOf(state: ReadState, stdin: Uint8Array, quotaBytes: number): (nowNs: () => bigint, outputs: Outputs) => Standing {
  return (nowNs, outputs) => {
    const { manifest } = state;
    const nodes = restoreNodes(state);
    const root = BigInt(manifest.root);
    must(nodes.get(root)?.kind === "directory");
    const files = new FileSystem(quotaBytes, nowNs, { root, usedBytes: manifest.usedBytes, nextIno: BigInt(manifest.nextIno), nodes });
    const descriptors = manifest.descriptors.map((record) => [record.fd, restoreDescriptor(record, nodes, stdin, outputs)] as const);
    return { files, descriptors, sleptNs: BigInt(manifest.sleptNs), streamedBytes: manifest.streamedBytes };
  };
}

export const randomOf = ({ manifest }: ReadState): Random => randomAt(manifest.random.map(BigInt));

/** Fills a fresh instance's memory and globals. */
export function restoreInstance(machine: Machine, { manifest, piece }: ReadState): void {
  const added = machine.added!;
  const { memory } = added;
  const missing = manifest.pages.length - memory.buffer.byteLength / PAGE_BYTES;
  must(missing >= 0 && manifest.pages.length <= machine.job.memoryPagesMax);
  if (missing > 0) memory.grow(missing);
  const bytes = new Uint8Array(memory.buffer);
  for (const [i, digest] of manifest.pages.entries()) {
    const page = bytes.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES);
    if (digest === "") page.fill(0);
    else page.set(piece(digest));
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
