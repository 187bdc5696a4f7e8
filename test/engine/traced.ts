/** Jobs in their build with breakpoints: traced whole, and gone on with from every state in an instance of its own. */
import { createHash } from "node:crypto";
import { expect } from "vitest";
import { fileEntry, prepareModule, seededRandom, traceJob, type Finished, type Job, type State } from "@xenoservers/engine";
import { statePiecesOf } from "@xenoservers/protocol";

const FUEL = 400_000n;
const sha256 = (bytes: Uint8Array): Uint8Array => createHash("sha256").update(bytes).digest();

export const compiled = (bytes: Uint8Array): WebAssembly.Module => new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>);

export function jobOf(module: WebAssembly.Module, out: Uint8Array[] = [], fuelMax = FUEL): Job {
  return {
    module: module as never,
    world: { args: ["job"], env: [], clockBaseNs: 0n, random: seededRandom(new Uint8Array(32).fill(7)) },
    mounts: [{ path: "/out", writable: true, entries: [fileEntry("there", new Uint8Array(10))] }],
    stdin: new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]),
    fuelMax,
    memoryPagesMax: 16,
    diskBytesMax: 1 << 20,
    streamBytesMax: 1 << 16,
    sha256,
    stdout: (chunk) => void out.push(chunk.slice()),
    stderr: () => {},
  };
}
export const shown = ({ ending, fuel, memoryHash, treeAt }: Finished, out: Uint8Array[]) => ({
  ending,
  fuel,
  memory: memoryHash && Buffer.from(memoryHash).toString("hex"),
  out: Buffer.concat(out).toString("hex"),
  tree: [...treeAt("/out")].map((entry) => ({
    path: entry.path,
    kind: entry.kind,
    bytes: entry.kind === "file" ? Buffer.concat([...entry.chunks()]).toString("hex") : null,
  })),
});

/** Null where the module has no such build. */
export function built(module: Uint8Array): WebAssembly.Module | null {
  const prepared = prepareModule(module, true);
  return prepared.ok ? compiled(prepared.bytes) : null;
}

export function traced(build: WebAssembly.Module, step: bigint, fuelMax = FUEL) {
  const out: Uint8Array[] = [];
  const states: { index: bigint; state: State }[] = [];
  const pieces = new Map<string, Uint8Array>();
  const onBreakpoint = (index: bigint, state: State): boolean => {
    states.push({ index, state });
    for (const [digest, bytes] of state.pieces) pieces.set(digest, bytes);
    return true;
  };
  const finished = traceJob(jobOf(build, out, fuelMax), { step, from: null, onBreakpoint })!;
  return { result: shown(finished, out), states, pieces };
}

/** Goes on from every state: to the next, and to the end. */
export function checkSegments(
  build: WebAssembly.Module,
  step: bigint,
  { result, states, pieces }: ReturnType<typeof traced>,
  fuelMax = FUEL,
): void {
  for (const [i, { state }] of states.entries()) {
    for (const digest of statePiecesOf(state.manifest)!) expect(pieces.has(digest)).toBe(true);
    const from = { manifest: state.manifest, piece: (digest: string) => pieces.get(digest)! };
    const next = states[i + 1];
    if (next && next.state.root !== state.root) {
      let root = "";
      expect(traceJob(jobOf(build, [], fuelMax), { step, from, onBreakpoint: (_, reached) => ((root = reached.root), false) })).toBeNull();
      expect(root).toBe(next.state.root);
    }
    const out: Uint8Array[] = [];
    expect(shown(traceJob(jobOf(build, out, fuelMax), { step, from, onBreakpoint: () => true })!, out)).toEqual(result);
  }
}
