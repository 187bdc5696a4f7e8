/** Instructions whose types stand in no table of opcodes: locals, globals, tables, the memory's size, constants, references, select. */
import { Refusal } from "./binary.ts";
import { EXACT, NEVER_NAN } from "./float-locals.ts";
import { OP } from "./op.ts";
import { EXNREF, EXTERNREF, F32, F64, FUNCREF, I32, I64, isFloat } from "./opcodes.ts";
import { refusal } from "./skip.ts";
import { ADDED_PARAMS, type Walk } from "./walk.ts";

export function variable(walk: Walk, opcode: number, at: number): void {
  switch (opcode) {
    case OP.drop:
      walk.stack.pop();
      return walk.keep(at);
    case OP.select:
    case OP.selectTyped:
      return select(walk, opcode, at);
    case OP.globalGet:
    case OP.globalSet:
      return global(walk, opcode, at);
    case OP.tableGet:
    case OP.tableSet:
      return tableEntry(walk, opcode, at);
    case OP.memorySize:
      walk.reader.u32();
      walk.stack.push(I32);
      return walk.keep(at);
    case OP.memoryGrow:
      return growMemory(walk);
    case OP.i64Const:
      walk.reader.skipLeb();
      walk.stack.push(I64);
      return walk.keep(at);
    case OP.f32Const:
    case OP.f64Const:
      return floatConstant(walk, opcode, at);
    case OP.refNull:
    case OP.refIsNull:
    case OP.refFunc:
      return reference(walk, opcode, at);
    default:
      throw refusal(opcode, 0, at);
  }
}

function select(walk: Walk, opcode: number, at: number): void {
  const { reader, stack } = walk;
  if (opcode === OP.selectTyped) reader.skip(reader.u32());
  const top = stack.height;
  const [first, second] = [stack.dirty[top - 3]!, stack.dirty[top - 2]!];
  const alike = first === second || first === NEVER_NAN || second === NEVER_NAN;
  if (!alike) walk.canonical(2, 1);
  stack.popMany(2);
  const type = stack.pop();
  stack.push(type, alike ? (first === NEVER_NAN ? second : first) : EXACT);
  walk.keep(at);
}

/** Fuel and stack stand between the parameters and the other locals. */
function localIndex({ reader, paramCount }: Walk): number {
  const index = reader.u32();
  return index < paramCount ? index : index + ADDED_PARAMS.length;
}

export function getLocal(walk: Walk): void {
  const index = localIndex(walk);
  const type = walk.out.locals[index]!;
  walk.stack.push(type, isFloat(type) ? walk.floats!.dirtyOf(index) : 0);
  walk.out.pending++;
  walk.out.op(OP.localGet, index);
}

export function setLocal(walk: Walk, opcode: number): void {
  const { stack, floats } = walk;
  const index = localIndex(walk);
  const top = stack.height - 1;
  const type = stack.types[top]!;
  if (isFloat(type)) {
    floats!.set(index, stack.dirty[top]!);
    if (floats!.mustBeCanonical(index)) walk.canonical(1);
  }
  if (opcode === OP.localSet) stack.pop();
  else if (isFloat(type)) stack.dirty[top] = floats!.dirtyOf(index);
  walk.out.pending++;
  walk.out.op(opcode, index);
}

function global(walk: Walk, opcode: number, at: number): void {
  const index = walk.reader.u32();
  if (opcode === OP.globalGet) walk.stack.push(walk.module.globals[index]!.type);
  else {
    walk.canonical(1);
    walk.stack.pop();
  }
  walk.keep(at);
}

function tableEntry(walk: Walk, opcode: number, at: number): void {
  const { reader, stack } = walk;
  if (opcode === OP.tableSet) {
    walk.mustBeStill(at);
    reader.u32();
    stack.popMany(2);
  } else {
    const { type } = walk.module.tables[reader.u32()]!;
    stack.pop();
    stack.push(type);
  }
  walk.keep(at);
}

/** By the engine's own function, which finds the counter in its global and takes the price of the pages off there. */
function growMemory(walk: Walk): void {
  const { out, stack, add } = walk;
  walk.reader.u32();
  stack.pop();
  stack.push(I32);
  out.pending++;
  out.pushFuel();
  out.op(OP.globalSet, add.fuelGlobal);
  out.op(OP.call, add.grow);
  out.takeFuel();
}

function floatConstant(walk: Walk, opcode: number, at: number): void {
  const { reader, stack } = walk;
  const bytes = opcode === OP.f32Const ? 4 : 8;
  const end = reader.skip(bytes) + bytes;
  const top = (reader.bytes[end - 1]! & 0x7f) * 256 + reader.bytes[end - 2]!;
  const mayBeNaN = top >= (opcode === OP.f32Const ? 0x7f80 : 0x7ff0);
  stack.push(opcode === OP.f32Const ? F32 : F64, mayBeNaN ? EXACT : NEVER_NAN);
  walk.keep(at);
}

function reference(walk: Walk, opcode: number, at: number): void {
  const { reader, stack, out } = walk;
  if (opcode === OP.refFunc) {
    stack.push(FUNCREF);
    out.pending++;
    const index = walk.add.functionIndex(reader.u32());
    walk.add.referenced.add(index);
    return out.op(OP.refFunc, index);
  }
  if (opcode === OP.refIsNull) {
    stack.pop();
    stack.push(I32);
  } else {
    const type = reader.byte();
    if (type !== FUNCREF && type !== EXTERNREF && type !== EXNREF)
      throw new Refusal(`reference type 0x${type.toString(16)}`, at, "compile for wasm32-wasip1");
    stack.push(type);
  }
  walk.keep(at);
}
