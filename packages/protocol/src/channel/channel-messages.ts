/**
 * What customer and server say inside the channel. Bytes are pulled by digest in parts, so transfers resume and buffers stay bounded.
 *
 *   customer                              server
 *   job {spec, inputs, sizes}  ─────────▶  checks it against the order's jobHash
 *              ◀───────── want {digest, offset, length}   (until all bytes are there and hash right)
 *   part {digest, offset} + bytes ──────▶
 *              ◀───────── state {running}; output {stream, offset} + bytes …
 *   attach {stdout, stderr} ────────────▶  (what it has already) answered by output and, when that was all there is so far, shown
 *              ◀───────── ended {result, tree}
 *   want … part …  the other way round, for the outputs
 *   delivered {delivery} ───────────────▶  signed once every byte is there and right: handed in with the result
 *
 * Of a virtual machine the job is `vm`; while it runs also:
 *   input + bytes                what a person types on the serial console
 *   open {id, port}              a connection to a port of the guest; data {id} + bytes both ways,
 *                                (none: there are no more), taken {id, bytes} as they are used, shut {id}
 *   shell {id}                   the same with the guest's own shell: a program, its streams and its end, or files
 *   screen {id}                  the same with its screen (RFC 6143), where one was ordered
 *   stdin {offset, last} + bytes what its program reads: of an image alone, no further than a window beyond
 *              ◀───────── stdin-taken {bytes, isTerminal}   (when this side has attached, and whenever the program has read some)
 *   resize {window}              the customer's terminal has another size
 *              ◀───────── state {paused}   (behind running, while it stands still at its customer's word; running: it goes on)
 *   ask {id, what} + JSON        pause, resume, reboot, snapshot, or a request to the guest agent; answered by answer {id, ok} + JSON
 */
import * as z from "zod/mini";
import { zEnvelope, zId } from "../documents/parts.ts";
import { zJobSpec, zSegment } from "../ids.ts";
import { zVmSpec, zWindow } from "../vm-spec.ts";

export const PART_BYTES_MAX = 256 * 1024;
/** What an honest side asks for: with its header no more than a channel's packets hold four of. */
export const WANTED_BYTES = 252 * 1024;
/** What is asked for with `want` at once by an honest side; more are answered one by one. */
export const WANTS_UNDER_WAY_MAX = 8;
/** Takes the largest job and the largest result that the engine's limits allow (test/engine/limits.test.ts). */
export const MESSAGE_BYTES_MAX = 64 * 1024 * 1024;
/** The engine's limit (engine/src/wasi/limits.ts). */
const ENTRIES_MAX = 100_000;
/** Of a state: a memory of 4 GiB, a file for each entry, the call stack, both streams, the manifest. */
const PIECES_MAX = 65_536 + ENTRIES_MAX + 4;
const SIZE_MAX = 64 * 1024 * 1024 * 1024;

/** Relative, plain parts: nothing in it can leave the folder it is written to. */
const zTreePath = z.string().check(
  z.minLength(1),
  z.maxLength(4096),
  z.refine(
    (path) => !path.includes("\0") && path.split("/").every((part) => part !== "" && part !== "." && part !== ".."),
    "must be a relative path of plain names",
  ),
);

const zInputEntry = z.discriminatedUnion("kind", [
  z.strictObject({ path: zTreePath, kind: z.literal("file"), digest: zId, size: z.int().check(z.gte(0), z.lte(SIZE_MAX)) }),
  z.strictObject({ path: zTreePath, kind: z.literal("directory") }),
  z.strictObject({ path: zTreePath, kind: z.literal("link"), target: z.string().check(z.minLength(1), z.maxLength(4096)) }),
]);
export type InputEntry = z.infer<typeof zInputEntry>;
/** Of a job's inputs, or of what it left: takes every tree that the engine lets through. */
export const zTree = z.array(zInputEntry).check(z.maxLength(ENTRIES_MAX));

const zMount = z.strictObject({
  path: z.string().check(
    z.regex(/^(\/[^/\0]{1,255}){1,16}$/),
    z.refine((path) => !/\/\.{1,2}(\/|$)/.test(path)),
  ),
  writable: z.boolean(),
  keep: z.boolean(),
});
export type ChannelMount = z.infer<typeof zMount>;

/** Its canonical digest is `inputs` in the job's spec. */
export const zInputTree = z.strictObject({ entries: zTree, mounts: z.array(zMount).check(z.maxLength(64)) });
export type InputTree = z.infer<typeof zInputTree>;

const zOffset = z.int().check(z.gte(0), z.lte(SIZE_MAX));
/** Of bytes that are kept nowhere. */
const zCount = z.int().check(z.gte(0), z.lte(Number.MAX_SAFE_INTEGER));

/** The part of the job that is wanted, and the state's manifest and pieces to go on from. */
const zSegmentInput = z.strictObject({
  segment: zSegment,
  pieces: z.array(z.strictObject({ digest: zId, size: zOffset })).check(z.maxLength(PIECES_MAX)),
});
export type SegmentInput = z.infer<typeof zSegmentInput>;

const zTunnelId = z.int().check(z.gte(1), z.lte(2 ** 31));
/** How far a tunnel's sender may be ahead of what the other side has used. */
export const TUNNEL_WINDOW_BYTES = 512 * 1024;
export const VM_REQUESTS = ["pause", "resume", "reboot", "snapshot", "agent"] as const;
export type VmRequest = (typeof VM_REQUESTS)[number];

/** What goes in is kept for no next lease of this customer's; absent: it may be. */
const zForgets = z.optional(z.literal(true));

const zChannelHeader = z.discriminatedUnion("t", [
  z.strictObject({
    t: z.literal("job"),
    spec: zJobSpec,
    inputs: zInputTree,
    moduleSize: zOffset,
    stdinSize: zOffset,
    segment: z.nullable(zSegmentInput),
    forgets: zForgets,
  }),
  z.strictObject({
    t: z.literal("vm"),
    spec: zVmSpec,
    inputs: zInputTree,
    blobs: z.array(z.strictObject({ digest: zId, size: zOffset })).check(z.maxLength(100_000)),
    forgets: zForgets,
  }),
  z.strictObject({ t: z.literal("input") }),
  z.strictObject({ t: z.literal("stdin"), offset: zCount, last: z.boolean() }),
  z.strictObject({ t: z.literal("stdin-taken"), bytes: zCount, isTerminal: z.boolean() }),
  z.strictObject({ t: z.literal("resize"), window: zWindow }),
  z.strictObject({ t: z.literal("open"), id: zTunnelId, port: z.int().check(z.gte(1), z.lte(65_535)) }),
  z.strictObject({ t: z.literal("shell"), id: zTunnelId }),
  z.strictObject({ t: z.literal("screen"), id: zTunnelId }),
  z.strictObject({ t: z.literal("data"), id: zTunnelId }),
  z.strictObject({ t: z.literal("taken"), id: zTunnelId, bytes: z.int().check(z.gte(1), z.lte(SIZE_MAX)) }),
  z.strictObject({ t: z.literal("shut"), id: zTunnelId, why: z.string().check(z.maxLength(200)) }),
  z.strictObject({ t: z.literal("ask"), id: zTunnelId, what: z.enum(VM_REQUESTS) }),
  z.strictObject({ t: z.literal("answer"), id: zTunnelId, ok: z.boolean() }),
  z.strictObject({ t: z.literal("attach"), stdout: zOffset, stderr: zOffset }),
  z.strictObject({ t: z.literal("want"), digest: zId, offset: zOffset, length: z.int().check(z.gte(1), z.lte(PART_BYTES_MAX)) }),
  z.strictObject({ t: z.literal("part"), digest: zId, offset: zOffset }),
  z.strictObject({
    t: z.literal("state"),
    state: z.enum(["waiting", "preparing", "running", "paused", "ended"]),
    usedMs: z.int().check(z.gte(0)),
  }),
  z.strictObject({ t: z.literal("shown") }),
  z.strictObject({ t: z.literal("output"), stream: z.enum(["stdout", "stderr"]), offset: zOffset }),
  z.strictObject({ t: z.literal("ended"), result: zEnvelope, tree: zTree, stdoutSize: zOffset, stderrSize: zOffset }),
  z.strictObject({ t: z.literal("delivered"), delivery: zEnvelope }),
  z.strictObject({ t: z.literal("problem"), code: z.string().check(z.maxLength(64)), why: z.string().check(z.maxLength(500)) }),
]);
export const CHANNEL_KINDS: readonly string[] = zChannelHeader.def.options.flatMap(({ shape }) => shape.t.def.values);

/** Made here, never sent: a job came that this side cannot read. */
export interface Unreadable {
  t: "unreadable";
  what: "job" | "vm";
  /** In words, for whoever sent it. */
  why: string;
}
export type ChannelHeader = z.infer<typeof zChannelHeader> | Unreadable;

const WHY_MAX = 300;

/** Null where it is no message at all. */
export function parseChannelHeader(text: string): ChannelHeader | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const parsed = zChannelHeader.safeParse(value);
  if (parsed.success) return parsed.data;
  const what = typeof value === "object" && value !== null && "t" in value ? value.t : null;
  if (what !== "job" && what !== "vm") return null;
  const [issue] = parsed.error.issues;
  return {
    t: "unreadable",
    what,
    why: `${issue?.path.join(".") ?? ""}: ${issue?.message ?? "it is malformed"}`.toWellFormed().slice(0, WHY_MAX).toWellFormed(),
  };
}
