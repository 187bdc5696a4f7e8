/**
 * Runs of instructions that take and give integers alone, as most of every program are: read and written in one loop, without a call for
 * each. What it stops at, the walk goes on with (function.ts). Who controls the bytes: the customer; the platform has validated them.
 */
import { OP } from "./op.ts";
import { I32, I64, IMMEDIATE, PLAIN } from "./opcodes.ts";
import type { Walk } from "./walk.ts";

const KIND = { other: 0, localGet: 1, localSet: 2, localTee: 3, constant: 4, memory: 5, plain: 6 } as const;

/** By opcode: how it is read, how many operands it takes, what it gives (0: nothing), its fuel. */
const kinds = new Uint8Array(256);
const takes = new Uint8Array(256);
const gives = new Uint8Array(256);
const costs = new Uint8Array(256);
for (const [opcode, operation] of PLAIN.entries()) {
  if (!operation?.isOfIntegers) continue;
  kinds[opcode] = operation.immediate === IMMEDIATE.memory ? KIND.memory : KIND.plain;
  takes[opcode] = operation.params.length;
  gives[opcode] = operation.result;
  costs[opcode] = operation.cost;
}
for (const [opcode, kind, type] of [
  [OP.localGet, KIND.localGet, 0],
  [OP.localSet, KIND.localSet, 0],
  [OP.localTee, KIND.localTee, 0],
  [OP.i32Const, KIND.constant, I32],
  [OP.i64Const, KIND.constant, I64],
] as const) {
  kinds[opcode] = kind;
  gives[opcode] = type;
  costs[opcode] = 1;
}

/** Read at once, at most; the last instruction may be as long as two integers more. */
const RUN_BYTES = 1024;
const INSTRUCTION_BYTES = 32;
/** An index grows by a byte where two are added to it. */
const ROOM_BYTES = 2 * (RUN_BYTES + INSTRUCTION_BYTES);
const VALUE_BYTES = 8;
const ADDED_LOCALS = 2;
const isInteger = (type: number): boolean => type === I32 || type === I64;

/** From where the reader stands up to the first instruction of another kind. */
export function integers(walk: Walk): void {
  const { reader, stack, out, paramCount } = walk;
  const { bytes } = reader;
  const { types, dirty } = stack;
  const { locals } = out;
  const to = out.body.withRoom(ROOM_BYTES);
  const last = reader.at + RUN_BYTES;
  let { at } = reader;
  let written = out.body.end;
  let { height } = stack;
  let highest = height;
  let cost = 0;
  while (at < last) {
    const opcode = bytes[at]!;
    const kind = kinds[opcode]!;
    if (kind === KIND.other) break;
    if (kind <= KIND.localTee) {
      let index = bytes[at + 1]!;
      let next = at + 2;
      if (index >= 0x80) {
        const second = bytes[at + 2]!;
        if (second >= 0x80) break;
        index = (index & 0x7f) | (second << 7);
        next = at + 3;
      }
      if (index >= paramCount) index += ADDED_LOCALS;
      const type = locals[index]!;
      if (!isInteger(type)) break;
      at = next;
      to[written++] = opcode;
      if (index < 0x80) to[written++] = index;
      else {
        to[written++] = (index & 0x7f) | 0x80;
        to[written++] = index >> 7;
      }
      cost++;
      if (kind === KIND.localGet) {
        types[height] = type;
        dirty[height] = 0;
        if (++height > highest) highest = height;
      } else if (kind === KIND.localSet) height--;
      continue;
    }
    to[written++] = opcode;
    at++;
    if (kind === KIND.constant) {
      while (bytes[at]! >= 0x80) to[written++] = bytes[at++]!;
      to[written++] = bytes[at++]!;
    } else if (kind === KIND.memory) {
      while (bytes[at]! >= 0x80) to[written++] = bytes[at++]!;
      to[written++] = bytes[at++]!;
      while (bytes[at]! >= 0x80) to[written++] = bytes[at++]!;
      to[written++] = bytes[at++]!;
    }
    height -= takes[opcode]!;
    cost += costs[opcode]!;
    const given = gives[opcode]!;
    if (given !== 0) {
      types[height] = given;
      dirty[height] = 0;
      if (++height > highest) highest = height;
    }
  }
  reader.at = at;
  out.body.end = written;
  out.pending += cost;
  stack.moveOver(height, highest, VALUE_BYTES);
}
