/** Operations that take values and give one: copied as they stand, with operands made canonical where the program would see their bits. */
import { EXACT, NEVER_NAN, isDirty } from "./float-locals.ts";
import { NO_BLOCK_TYPE, OP } from "./op.ts";
import { BULK, F32, F64, I32, IMMEDIATE, SATURATING, SIMD, V128, type Operation } from "./opcodes.ts";
import { refusal, skipImmediate } from "./skip.ts";
import type { Walk } from "./walk.ts";

/** Eight bytes for one unit of fuel. */
const BULK_BYTES_PER_FUEL_LOG2 = 3;

/** One that takes and gives integers alone, as most do. */
export function ofIntegers(walk: Walk, operation: Operation, at: number): void {
  if (operation.immediate === IMMEDIATE.memory) {
    walk.reader.skipLeb();
    walk.reader.skipLeb();
  }
  walk.stack.popMany(operation.params.length);
  if (operation.result !== 0) walk.stack.push(operation.result);
  walk.out.pending += operation.cost;
  walk.copy(at);
}

export function simple(walk: Walk, operation: Operation, at: number): void {
  const { out, stack } = walk;
  skipImmediate(walk.reader, operation);
  const { params, result, float } = operation;
  const count = params.length;
  if (count === 2 && result === 0 && isDirty(stack.dirty[stack.height - 1]!) && params[1] !== V128) return storeFloat(walk, operation, at);
  const base = stack.height - count;
  if (float === "sees") walk.canonical(count);
  else if (params[0] === V128) {
    for (let i = 0; i < count; i++)
      if (isDirty(stack.dirty[base + i]!) && stack.dirty[base + i] !== operation.lanesIn) walk.canonical(count - i);
  }
  const first = count > 0 ? stack.dirty[base]! : EXACT;
  stack.popMany(count);
  if (result !== 0) stack.push(result, markOf(operation, first));
  out.pending += operation.cost;
  walk.copy(at);
}

/** What is known of the result's bits; `first` is known of the first operand's. */
function markOf({ name, params, result, float, lanes }: Operation, first: number): number {
  if (float === "arith") return result === V128 ? lanes : result;
  if (float === "keeps") return first;
  return params.length > 0 && (result === F32 || result === F64) && name.includes(".convert") ? NEVER_NAN : EXACT;
}

/** Stores first and looks afterwards: the way of the value to memory, where the next iteration waits for it, stays as short as it was. */
function storeFloat(walk: Walk, operation: Operation, at: number): void {
  const { out } = walk;
  const type = operation.params[1]!;
  const [address, value] = [out.local("address", I32), out.local(`stored${type}`, type)];
  walk.stack.popMany(2);
  out.op(OP.localSet, value);
  out.op(OP.localTee, address);
  out.op(OP.localGet, value);
  walk.copy(at);
  for (let i = 0; i < 2; i++) out.op(OP.localGet, value);
  out.op(type === F32 ? OP.f32Ne : OP.f64Ne);
  out.op(OP.if, NO_BLOCK_TYPE);
  out.op(OP.localGet, address);
  out.canonicalNaN(type);
  walk.copy(at);
  out.op(OP.end);
  out.pending += operation.cost;
}

/** Behind the prefix for vectors. */
export function simd(walk: Walk, at: number): void {
  const sub = walk.reader.u32();
  const operation = SIMD[sub];
  if (!operation) throw refusal(OP.simd, sub, at);
  simple(walk, operation, at);
}

/** Behind the prefix for saturating conversions and for what works on many bytes or entries at once. */
export function miscellaneous(walk: Walk, at: number): void {
  const { reader, out, stack } = walk;
  const sub = reader.u32();
  const saturating = SATURATING[sub];
  if (saturating) return simple(walk, saturating, at);
  const bulk = BULK[sub];
  if (!bulk) throw refusal(OP.miscellaneous, sub, at);
  if (bulk.changesTables) walk.mustBeStill(at);
  for (let i = 0; i < bulk.immediates; i++) reader.skipLeb();
  out.pending++;
  if (bulk.counts) chargeBulk(walk, bulk.counts === "bytes" ? BULK_BYTES_PER_FUEL_LOG2 : 0);
  walk.copy(at);
  stack.popMany(bulk.operands);
  if (bulk.gives) stack.push(I32);
}

/** Takes fuel by the count on top of the stack: one unit for so many, as a power of two. */
function chargeBulk({ out }: Walk, shift: number): void {
  const scratch = out.local("bulk", I32);
  out.op(OP.localSet, scratch);
  out.op(OP.localGet, out.fuelLocal);
  out.op(OP.localGet, scratch);
  out.op(OP.i64ExtendI32U);
  if (shift > 0) {
    out.i64(shift);
    out.op(OP.i64ShrU);
  }
  out.op(OP.i64Sub);
  out.op(OP.localSet, out.fuelLocal);
  out.op(OP.localGet, scratch);
}
