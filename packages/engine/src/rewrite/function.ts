/**
 * Rewrites one function: counts fuel, bounds the stack, fixes the bits of NaNs. Fuel and stack come in as two more parameters, what is
 * left of the fuel goes out as one more result. The shape of what it emits:
 *
 *   sp = stack - frame; fuel = f               only where it calls, or the frame is large
 *   f < 0 or sp < 0 ⇒ trap
 *   block                                      the function's own label: `return` and `br` to the outside end here
 *     …f -= cost of the straight run…          before every branch, join and call
 *     loop; f < 0 ⇒ fuel = f, trap
 *     call …, f - cost, sp; f = last result
 *   end
 *   f
 *
 * The global `fuel` is what the host sees: exact at every call of the host, at the entry of every function that calls and after every
 * loop; what ran since is not in it when a guest traps.
 */
import { Reader, Refusal, Writer } from "./binary.ts";
import { call, callIndirect } from "./calls.ts";
import { branch, branchIf, branchTable, elseOfBlock, endBlock, enterBlock, unreachable } from "./control.ts";
import { catchAll, catchTag, delegate, rethrow, throwRef, throwTag, tryTable } from "./exceptions.ts";
import { Emitter, type Additions } from "./emitter.ts";
import type { FloatLocals } from "./float-locals.ts";
import { integers } from "./integers.ts";
import { LOCALS_MAX, assertWithin } from "./module-limits.ts";
import { valueType, type ParsedModule, type Span } from "./module.ts";
import { OP } from "./op.ts";
import { I32, PLAIN, isFloat } from "./opcodes.ts";
import { miscellaneous, ofIntegers, simd, simple } from "./operations.ts";
import { assemble } from "./prologue.ts";
import { getLocal, setLocal, variable } from "./variables.ts";
import { Walk } from "./walk.ts";

export class FunctionRewriter {
  readonly #walk: Walk;
  readonly #head = new Writer();
  /** Of all functions so far. */
  #localsInAll = 0;

  /** `code`: what functions are written to, one behind the other. */
  constructor(module: ParsedModule, additions: Additions, code: Writer) {
    this.#walk = new Walk(module, additions, new Emitter(additions, code));
  }

  /** Rewrites the function with this index and body, size first. */
  rewrite(index: number, span: Span, floats: FloatLocals): void {
    const walk = this.#walk;
    const { bytes } = walk.module;
    const { start, end } = span;
    walk.enter(index, span);
    walk.out.body.beginEntry();
    const reader = new Reader(bytes, start, end);
    this.#readLocals(reader);
    const { locals } = walk.out;
    const declared = locals.length;
    walk.floats = locals.some(isFloat) ? floats : null;
    if (walk.floats) {
      floats.begin(locals, walk.paramCount);
      walkThrough(walk, new Reader(bytes, reader.at, end), declared);
      floats.finish();
    }
    walkThrough(walk, reader, declared);
    assemble(walk, this.#head);
    walk.out.body.endEntry(this.#head);
  }

  #readLocals(reader: Reader): void {
    const { locals } = this.#walk.out;
    for (let groups = reader.u32(); groups > 0; groups--) {
      const at = reader.at;
      const count = reader.u32();
      const type = valueType(reader);
      if (locals.length + count > LOCALS_MAX) throw new Refusal("too many locals", at, "the module is malformed");
      assertWithin("locals", (this.#localsInAll += count), at);
      for (let i = 0; i < count; i++) locals.push(type);
    }
  }
}

/** Once to learn what the locals hold where any is a float, and once to write. */
function walkThrough(walk: Walk, reader: Reader, locals: number): void {
  walk.begin(reader, locals);
  while (walk.labels.length > 0) {
    integers(walk);
    if (reader.at >= reader.end) throw new Refusal("unexpected end", reader.end, "the module is truncated");
    instruction(walk);
  }
}

function instruction(walk: Walk): void {
  const { reader } = walk;
  const at = reader.at;
  const opcode = reader.byte();
  switch (opcode) {
    // what programs are mostly made of comes first
    case OP.localGet:
      return getLocal(walk);
    case OP.localSet:
    case OP.localTee:
      return setLocal(walk, opcode);
    case OP.i32Const:
      reader.skipLeb();
      walk.stack.push(I32);
      return walk.keep(at);
  }
  const operation = PLAIN[opcode];
  if (operation) return operation.isOfIntegers ? ofIntegers(walk, operation, at) : simple(walk, operation, at);
  switch (opcode) {
    case OP.unreachable:
      return unreachable(walk);
    case OP.nop:
      return;
    case OP.block:
    case OP.loop:
    case OP.if:
    case OP.try:
      return enterBlock(walk, opcode);
    case OP.else:
    case OP.end:
    case OP.catch:
    case OP.catchAll:
    case OP.delegate:
      return goOn(walk, opcode);
    case OP.br:
      return branch(walk, reader.u32());
    case OP.return:
      return branch(walk, walk.labels.length - 1);
    case OP.brIf:
      return branchIf(walk);
    case OP.brTable:
      return branchTable(walk);
    case OP.call:
    case OP.returnCall:
      return call(walk, opcode);
    case OP.callIndirect:
    case OP.returnCallIndirect:
      return callIndirect(walk, opcode);
    case OP.miscellaneous:
      return miscellaneous(walk, at);
    case OP.simd:
      return simd(walk, at);
    case OP.throw:
      return throwTag(walk);
    case OP.rethrow:
      return rethrow(walk);
    case OP.throwRef:
      return throwRef(walk);
    case OP.tryTable:
      return tryTable(walk);
    default:
      return variable(walk, opcode, at);
  }
}

/** Of what ends the innermost block or begins another arm of it. */
function goOn(walk: Walk, opcode: number): void {
  const { live } = walk;
  walk.live = true;
  switch (opcode) {
    case OP.else:
      return elseOfBlock(walk, live);
    case OP.catch:
      return catchTag(walk, live);
    case OP.catchAll:
      return catchAll(walk, live);
    case OP.delegate:
      return delegate(walk, live);
    default:
      return endBlock(walk, live);
  }
}
