/** Calls: fuel and stack go in as the last two arguments, and the fuel comes back as the last result. */
import { leaveOutDead } from "./control.ts";
import { typeOfFunction, type FunctionType } from "./module.ts";
import { OP } from "./op.ts";
import { I32 } from "./opcodes.ts";
import { bytesOf } from "./operands.ts";
import { ADDED_PARAMS, type Walk } from "./walk.ts";

const isTailCall = (opcode: number): boolean => opcode === OP.returnCall || opcode === OP.returnCallIndirect;

/** call and return_call. */
export function call(walk: Walk, opcode: number): void {
  const { at } = walk.reader;
  const index = walk.reader.u32();
  const type = typeOfFunction(walk.module, index);
  walk.canonical(type.params.length);
  const pauses = walk.pauses?.isSite(index) ? walk.pauses : null;
  if (isTailCall(opcode)) walk.mustReturn(at);
  pauses?.beforeCall(type.params.length, []);
  handOver(walk, opcode);
  if (index === walk.index || walk.checking[index] === 1) walk.out.calledChecking();
  walk.out.op(opcode, walk.add.functionIndex(index));
  takeResults(walk, opcode, type, type.params.length);
  pauses?.afterCall(type.results.length);
}

/** call_indirect and return_call_indirect. */
export function callIndirect(walk: Walk, opcode: number): void {
  const { reader, out } = walk;
  const { at } = reader;
  const typeIndex = reader.u32();
  const table = reader.u32();
  const type = walk.module.types[typeIndex]!;
  walk.canonical(type.params.length, 1);
  const entry = out.local("entry", I32);
  out.op(OP.localSet, entry);
  if (isTailCall(opcode)) walk.mustReturn(at);
  walk.pauses?.beforeCall(type.params.length, [entry]);
  handOver(walk, opcode);
  out.op(OP.localGet, entry);
  out.op(opcode, typeIndex);
  out.body.u32(table);
  takeResults(walk, opcode, type, type.params.length + 1);
  walk.pauses?.afterCall(type.results.length);
}

/** The last two arguments of every call. A tail call gives up the caller's own frame. */
function handOver(walk: Walk, opcode: number): void {
  const { out } = walk;
  walk.calls = true;
  out.pending++;
  out.pushFuel();
  out.op(OP.localGet, isTailCall(opcode) ? out.fuelLocal + 1 : walk.spLocal);
}

function takeResults(walk: Walk, opcode: number, type: FunctionType, operands: number): void {
  walk.callBytesMax = Math.max(walk.callBytesMax, bytesOf(type.params) + bytesOf(type.results) + bytesOf(ADDED_PARAMS));
  if (isTailCall(opcode)) return leaveOutDead(walk);
  walk.out.op(OP.localSet, walk.out.fuelLocal);
  // what stands behind it does not run where it throws
  if (walk.module.tags.length > 0) walk.out.endRun();
  walk.stack.popMany(operands);
  for (const result of type.results) walk.stack.push(result);
}
