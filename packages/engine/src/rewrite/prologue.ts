/** What stands around a function's body once the walk has written it: its locals, the checks at its entry, the way out. */
import { Refusal, type Writer } from "./binary.ts";
import { LOCALS_MAX, assertWithin } from "./module-limits.ts";
import { NO_BLOCK_TYPE, OP } from "./op.ts";
import { bytesOf } from "./operands.ts";
import { ADDED_PARAMS, type Walk } from "./walk.ts";

/** What a call takes on the machine's stack besides its values: return address, frame pointer, instance, spilled registers. */
const FRAME_BYTES_BASE = 96;
/** A frame this large counts even in a function that calls nothing. */
const LEAF_FRAME_BYTES_MAX = 4096;

const frameOf = ({ out, stack, callBytesMax, type }: Walk): number =>
  FRAME_BYTES_BASE + bytesOf(out.locals) + stack.bytesMax + 2 * (callBytesMax + bytesOf(type.results));

/** Puts together in `out`, size first, what the walk has written and what stands before it, which is made in `head`. */
export function assemble(walk: Walk, head: Writer, out: Writer): void {
  const { body, locals } = walk.out;
  const frame = frameOf(walk);
  const counted = walk.calls || frame > LEAF_FRAME_BYTES_MAX;
  if (counted) walk.checking.add(walk.index);
  head.clear();
  writeLocals(head, locals.slice(walk.paramCount + ADDED_PARAMS.length));
  if (counted) writeEntry(head, walk, frame);
  head.byte(OP.block);
  head.signed(walk.add.blockType([], walk.type.results));
  // the walk has already written the block's own end; what follows is the way out
  walk.out.pushFuel();
  walk.out.op(OP.end);
  const { end } = walk.reader;
  if (locals.length > LOCALS_MAX) throw new Refusal("too many locals", end, "the engine needs some of its own");
  assertWithin("bytes of one function with its metering", head.length + body.length, end);
  out.u32(head.length + body.length);
  out.copy(head.view());
  out.copy(body.view());
}

/** In runs of one type. */
function writeLocals(head: Writer, types: readonly number[]): void {
  const groups: [count: number, type: number][] = [];
  for (const type of types) {
    const last = groups.at(-1);
    if (last?.[1] === type) last[0]++;
    else groups.push([1, type]);
  }
  head.u32(groups.length);
  for (const [count, type] of groups) {
    head.u32(count);
    head.byte(type);
  }
}

/** Takes the frame off the stack, notes the fuel for the host, and traps where either is below zero. */
function writeEntry(head: Writer, { out, add, spLocal }: Walk, frame: number): void {
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
  op(OP.localGet, out.fuelLocal);
  op(OP.globalSet, add.fuelGlobal);
  op(OP.localGet, spLocal);
  op(OP.globalSet, add.stackGlobal);
  op(OP.unreachable);
  op(OP.end);
  if (add.breakpoint) out.pass(head, add.breakpoint);
}
