/**
 * What a worker hands in, written as it is read from the guest's files: never as one text, which a large tree could not be. What it can
 * hold is bounded by the engine's limits (engine/src/wasi/limits.ts), and what reads it takes all of that. Who controls the inputs: the
 * guest (names, targets, contents).
 */
import { TRAP_EXIT_CODE, type Ending, type TreeEntry } from "@xenoservers/engine";
import { digestOf } from "./files.ts";
import type { HandIn, Keeping } from "./handing.ts";
import type { TreeManifestEntry, WorkerResult } from "./job.ts";

const DETAIL_MAX = 400;
const LINES = 256;

/** At most so long, and without half a character at its end. */
export const shortened = (detail: string): string => detail.toWellFormed().slice(0, DETAIL_MAX).toWellFormed();

export function describe(ending: Ending, interrupted: "stopped" | "timeout"): Pick<WorkerResult, "ending" | "exitCode" | "detail"> {
  switch (ending.kind) {
    case "exit":
      return { ending: "exit", exitCode: ending.code, detail: "" };
    case "trap":
      return { ending: "trap", exitCode: TRAP_EXIT_CODE, detail: shortened(ending.message) };
    case "malformed":
    case "refused":
      return { ending: ending.kind, exitCode: null, detail: shortened(ending.message) };
    case "memory-limit":
      return { ending: ending.kind, exitCode: null, detail: shortened(ending.message ?? "") };
    case "stopped":
      return { ending: interrupted, exitCode: null, detail: "" };
    case "fuel-limit":
    case "output-limit":
      return { ending: ending.kind, exitCode: null, detail: "" };
  }
}

/** Keeps the files of the kept trees by their digests, and lists them. */
export function* kept(
  mounts: readonly string[],
  treeAt: (path: string) => Iterable<TreeEntry>,
  keeping: Keeping,
  alive: () => void,
): Generator<TreeManifestEntry> {
  function* noted(chunks: Iterable<Uint8Array>): Generator<Uint8Array> {
    for (const chunk of chunks) {
      alive();
      yield chunk;
    }
  }
  for (const mount of mounts)
    for (const entry of treeAt(mount)) {
      alive();
      const path = `${mount.slice(1)}/${entry.path}`;
      if (entry.kind === "file") {
        const digest = digestOf(noted(entry.chunks()));
        keeping.keep(digest, noted(entry.chunks()));
        yield { path, kind: "file", digest, size: entry.size };
      } else yield entry.kind === "link" ? { path, kind: "link", target: entry.target } : { path, kind: "directory" };
    }
}

function* linesOf(result: Omit<WorkerResult, "tree">, tree: Iterable<TreeManifestEntry>): Generator<Uint8Array> {
  const encode = (text: string): Uint8Array => Buffer.from(text);
  const head = JSON.stringify(result);
  yield encode(`${head.slice(0, -1)},"tree":[`);
  let lines: string[] = [];
  let first = true;
  for (const entry of tree) {
    lines.push(`${first ? "" : ","}${JSON.stringify(entry)}`);
    first = false;
    if (lines.length < LINES) continue;
    yield encode(lines.join(""));
    lines = [];
  }
  yield encode(`${lines.join("")}]}`);
}

/** The tree is written while it is read: last, for the kept files are kept with it. Nothing of it counts before all is written. */
export function handIn(result: Omit<WorkerResult, "tree">, tree: Iterable<TreeManifestEntry>, handing: HandIn): void {
  for (const lines of linesOf(result, tree)) handing.append("result.json", lines);
  handing.progress("handedIn");
}
