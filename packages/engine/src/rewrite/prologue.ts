/** What stands around a function's body once the walk has written it: its locals, the checks at its entry, the way out. */
import { Refusal, type Writer } from "./binary.ts";
import { isDirty } from "./float-locals.ts";
import { popFrame, pushFrame, savedLocal, writeAnyValue, type Saved } from "./frames.ts";
import { LOCALS_MAX, assertWithin } from "./module-limits.ts";
import { NO_BLOCK_TYPE, OP } from "./op.ts";
import { FUNCREF, I64, isFloat } from "./opcodes.ts";
import { EXCEPTION_BYTES, bytesOf } from "./operands.ts";
import type { Pauses } from "./pauses.ts";
import { ADDED_PARAMS, type Walk } from "./walk.ts";

/** What a call takes on the machine's stack besides its values: return address, frame pointer, instance, spilled registers. */
const FRAME_BYTES_BASE = 96;
/** A frame this large counts even in a function that calls nothing. */
const LEAF_FRAME_BYTES_MAX = 4096;

const frameOf = ({ out, stack, callBytesMax, heldMax, type }: Walk): number =>
  FRAME_BYTES_BASE +
  bytesOf(out.locals) -
  out.spareBytes +
  stack.bytesMax +
  heldMax * EXCEPTION_BYTES +
  2 * (callBytesMax + bytesOf(type.results));

/** Ends what the walk has written, and makes in `head` what stands before it. */
export function assemble(walk: Walk, head: Writer): void {
  const { body, locals } = walk.out;
  const frame = frameOf(walk);
  const counted = walk.calls || frame > LEAF_FRAME_BYTES_MAX;
  const { end } = walk.reader;
  if (counted) walk.checking[walk.index] = 1;
  head.clear();
  writeLocals(head, locals, walk.paramCount + ADDED_PARAMS.length);
  const saved = walk.pauses && framed(walk, walk.pauses, end);
  if (counted) writeEntry(head, walk, frame, saved);
  else if (saved) writeReturn(head, walk, saved);
  if (saved) {
    head.byte(OP.block);
    head.byte(NO_BLOCK_TYPE);
  }
  head.byte(OP.block);
  head.signed(walk.add.blockType([], walk.type.results));
  // the walk has already written the block's own end; what follows is the way out
  walk.out.pushFuel();
  if (saved) writeTakeDown(walk, saved);
  walk.out.op(OP.end);
  if (locals.length > LOCALS_MAX) throw new Refusal("too many locals", end, "the engine needs some of its own");
  assertWithin("bytes of one function with its metering", head.length + body.length, end);
}

/** Those from `from` on, in runs of one type. */
function writeLocals(head: Writer, types: readonly number[], from: number): void {
  let groups = 0;
  for (let i = from; i < types.length; i++) if (i === from || types[i] !== types[i - 1]) groups++;
  head.u32(groups);
  for (let i = from; i < types.length;) {
    const type = types[i]!;
    const first = i;
    while (i < types.length && types[i] === type) i++;
    head.u32(i - first);
    head.byte(type);
  }
}

/**
 * Takes the frame off the stack, notes the fuel for the host, and traps where either is below zero; or, where the call stack is wound up
 * again, comes back with what was `saved`.
 */
function writeEntry(head: Writer, walk: Walk, frame: number, saved: readonly Saved[] | null): void {
  const { out, add, spLocal } = walk;
  const op = (opcode: number, index?: number): void => {
    head.byte(opcode);
    if (index !== undefined) head.u32(index);
  };
  op(OP.localGet, out.fuelLocal + 1);
  op(OP.i32Const);
  head.signed(frame);
  op(OP.i32Sub);
  op(OP.localTee, spLocal);
  op(OP.i64ExtendI32S);
  op(OP.localGet, out.fuelLocal);
  op(OP.globalSet, add.fuelGlobal);
  op(OP.localGet, out.fuelLocal);
  op(OP.i64Or);
  op(OP.i64Const, 0);
  op(OP.i64LtS);
  op(OP.if, NO_BLOCK_TYPE);
  if (saved) {
    writeComeBack(head, walk, saved);
    op(OP.else);
  }
  op(OP.localGet, out.fuelLocal);
  op(OP.globalSet, add.fuelGlobal);
  op(OP.localGet, spLocal);
  op(OP.globalSet, add.stackGlobal);
  op(OP.unreachable);
  if (saved) op(OP.end);
  op(OP.end);
}

/** The same where nothing is counted. */
function writeReturn(head: Writer, walk: Walk, saved: readonly Saved[]): void {
  head.byte(OP.localGet);
  head.u32(walk.out.fuelLocal);
  head.byte(OP.i64Const);
  head.byte(0);
  head.byte(OP.i64LtS);
  head.byte(OP.if);
  head.byte(NO_BLOCK_TYPE);
  writeComeBack(head, walk, saved);
  head.byte(OP.end);
  head.byte(OP.end);
}

/** What is saved of a function that is taken down. */
function framed({ out }: Walk, pauses: Pauses, at: number): Saved[] {
  const locals = [pauses.resume, ...pauses.frame].map((index) => savedLocal(index, out.locals[index]!));
  if (locals.some(({ type }) => type === FUNCREF))
    throw new Refusal("a function reference kept over a call", at, "such a job has no breakpoints");
  return locals;
}

/** Leaves an `if` open. */
function writeComeBack(head: Writer, { add }: Walk, saved: readonly Saved[]): void {
  head.byte(OP.globalGet);
  head.u32(add.breakpoint!.stateGlobal);
  head.byte(OP.if);
  head.byte(NO_BLOCK_TYPE);
  popFrame(head, add.breakpoint!, saved);
}

/** The way out of a function that runs to its end, and behind it that of one that is taken down. */
function writeTakeDown({ out, add, floats, type }: Walk, saved: readonly Saved[]): void {
  out.op(OP.return);
  out.op(OP.end);
  for (const { index, type: each } of saved) {
    const dirty = isFloat(each) ? (floats?.dirtyOf(index) ?? 0) : 0;
    if (isDirty(dirty)) out.canonicalLocal(index, each, dirty);
  }
  pushFrame(out.body, add.breakpoint!, saved);
  for (const each of [...type.results, I64]) writeAnyValue(out.body, each);
}
