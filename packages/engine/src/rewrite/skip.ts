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

/** What begins, parts and ends a block. */
const BLOCKS: ReadonlySet<number> = new Set([OP.block, OP.loop, OP.if, OP.try, OP.tryTable]);
const ARMS: ReadonlySet<number> = new Set([OP.else, OP.catch, OP.catchAll]);
const ENDS: ReadonlySet<number> = new Set([OP.end, OP.delegate]);

/** Skips to what parts or ends the innermost label, decoding only what is needed to find it. The reader stands before it. */
export function skipDead(reader: Reader): void {
  for (let depth = 0; ;) {
    const { at } = reader;
    const opcode = reader.byte();
    if (depth === 0 && (ARMS.has(opcode) || ENDS.has(opcode))) {
      reader.at = at;
      return;
    }
    if (BLOCKS.has(opcode)) depth++;
    else if (ENDS.has(opcode)) depth--;
    skipOne(reader, opcode, at);
  }
}

/** Clauses of a `try_table`: which exceptions, and to which label. */
export function eachClause(reader: Reader, take: (kind: number, tag: number, depth: number) => void): void {
  for (let left = reader.u32(); left > 0; left--) {
    const at = reader.at;
    const kind = reader.byte();
    if (kind > CLAUSE.catchAllRef) throw new Refusal(`catch clause ${kind}`, at, "the module is malformed");
    const tag = kind < CLAUSE.catchAll ? reader.u32() : -1;
    take(kind, tag, reader.u32());
  }
}
/** Kinds of clauses, as the binary format writes them; those with `Ref` give the exception itself besides what it carries. */
export const CLAUSE = { catch: 0, catchRef: 1, catchAll: 2, catchAllRef: 3 } as const;

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
    case OP.else:
    case OP.end:
    case OP.catchAll:
    case OP.throwRef:
      return;
    case OP.block:
    case OP.loop:
    case OP.if:
    case OP.try:
      reader.s33();
      return;
    case OP.tryTable:
      reader.s33();
      return eachClause(reader, () => {});
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
    case OP.catch:
    case OP.throw:
    case OP.rethrow:
    case OP.delegate:
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
    case OP.miscellaneous:
      return skipMiscellaneous(reader, at);
    case OP.simd:
      return skipSimd(reader, at);
    default:
      throw refusal(opcode, 0, at);
  }
}

function skipSimd(reader: Reader, at: number): void {
  const sub = reader.u32();
  const simd = SIMD[sub];
  if (!simd) throw refusal(OP.simd, sub, at);
  skipImmediate(reader, simd);
}

function skipMiscellaneous(reader: Reader, at: number): void {
  const sub = reader.u32();
  if (SATURATING[sub]) return;
  const bulk = BULK[sub];
  if (!bulk) throw refusal(OP.miscellaneous, sub, at);
  for (let i = 0; i < bulk.immediates; i++) reader.skipLeb();
}
