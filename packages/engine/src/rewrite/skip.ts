/** Skipping instructions without looking at their types: immediates, and code that cannot be reached. */
import { Refusal, type Reader } from "./binary.ts";
import { OP } from "./op.ts";
import { BULK, IMMEDIATE, PLAIN, SATURATING, SIMD, refusedOpcode, type Operation } from "./opcodes.ts";

export function refusal(opcode: number, sub: number, at: number): Refusal {
  const [what, advice] = refusedOpcode(opcode, sub);
  return new Refusal(what, at, advice);
}

export function skipImmediate(reader: Reader, operation: Operation): void {
  switch (operation.immediate) {
    case IMMEDIATE.none:
      return;
    case IMMEDIATE.memory:
    case IMMEDIATE.memoryLane:
      reader.skipLeb();
      reader.skipLeb();
      if (operation.immediate === IMMEDIATE.memoryLane) reader.byte();
      return;
    case IMMEDIATE.lane:
      reader.byte();
      return;
    case IMMEDIATE.bytes16:
      reader.skip(16);
  }
}

/** Skips to the `end` or `else` of the innermost label, decoding only what is needed to find it; returns which of the two it was. */
export function skipDead(reader: Reader): "end" | "else" {
  for (let depth = 0; ;) {
    const at = reader.at;
    const opcode = reader.byte();
    if (opcode === OP.block || opcode === OP.loop || opcode === OP.if) {
      reader.s33();
      depth++;
    } else if (opcode === OP.end && depth-- === 0) return "end";
    else if (opcode === OP.else && depth === 0) return "else";
    else if (opcode !== OP.end && opcode !== OP.else) skipOne(reader, opcode, at);
  }
}

export function skipOne(reader: Reader, opcode: number, at: number): void {
  const plain = PLAIN[opcode];
  if (plain) return skipImmediate(reader, plain);
  switch (opcode) {
    case OP.unreachable:
    case OP.nop:
    case OP.return:
    case OP.drop:
    case OP.select:
    case OP.refIsNull:
      return;
    case OP.brTable:
      for (let left = reader.u32() + 1; left > 0; left--) reader.skipLeb();
      return;
    case OP.selectTyped:
      reader.skip(reader.u32());
      return;
    case OP.callIndirect:
    case OP.returnCallIndirect:
      reader.skipLeb();
      reader.skipLeb();
      return;
    case OP.f32Const:
      reader.skip(4);
      return;
    case OP.f64Const:
      reader.skip(8);
      return;
    case OP.br:
    case OP.brIf:
    case OP.call:
    case OP.returnCall:
    case OP.localGet:
    case OP.localSet:
    case OP.localTee:
    case OP.globalGet:
    case OP.globalSet:
    case OP.tableGet:
    case OP.tableSet:
    case OP.memorySize:
    case OP.memoryGrow:
    case OP.i32Const:
    case OP.i64Const:
    case OP.refNull:
    case OP.refFunc:
      return reader.skipLeb();
    case OP.miscellaneous: {
      const sub = reader.u32();
      if (SATURATING[sub]) return;
      const bulk = BULK[sub];
      if (!bulk) throw refusal(opcode, sub, at);
      for (let i = 0; i < bulk.immediates; i++) reader.skipLeb();
      return;
    }
    case OP.simd: {
      const sub = reader.u32();
      const simd = SIMD[sub];
      if (!simd) throw refusal(opcode, sub, at);
      return skipImmediate(reader, simd);
    }
    default:
      throw refusal(opcode, 0, at);
  }
}
