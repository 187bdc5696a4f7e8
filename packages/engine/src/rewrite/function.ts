/**
 * Rewrites one function: counts fuel, bounds the stack, fixes the bits of NaNs. The shape of what it emits:
 *
 *   f = fuel; sp = stack -= frame              the stack only where it calls, or the frame is large
 *   f < 0 or sp < 0 ⇒ trap
 *   block                                      the function's own label: `return` and `br` to the outside end here
 *     …f -= cost of the straight run…          before every branch, join and call
 *     loop; f < 0 ⇒ fuel = f, trap
 *     fuel = f - cost; call …; f = fuel
 *   end
 *   fuel = f; stack = sp + frame
 *
 * So `fuel` is exact at every call and return and after every loop; what ran since is not in it when a guest traps. Code that cannot be reached
 * (after br, return, unreachable, up to the next end or else) is left out.
 */
import { Reader, Refusal, type Writer } from "./binary.ts";
import { EXACT, NEVER_NAN, isDirty, type FloatLocals } from "./float-locals.ts";
import type { FunctionType, ParsedModule } from "./module.ts";
import { EXTERNREF, F32, F64, FUNCREF, I32, I64, IMMEDIATE, PLAIN, SATURATING, SIMD, V128, refusedOpcode, type Operation } from "./opcodes.ts";

/** Where the rewriter put its own functions and globals. */
export interface Additions {
  fuelGlobal: number;
  stackGlobal: number;
  /** memory.grow within the job's limit. */
  grow: number;
  /** Index of a defined or imported function after the additions. */
  functionIndex(index: number): number;
  /** Index of the type [] → results, for the function's outermost block. */
  blockType(results: readonly number[]): number;
}

/** What a call takes on the machine's stack besides its values: return address, frame pointer, instance, spilled registers. */
const FRAME_BYTES_BASE = 96;
/** A frame this large counts even in a function that calls nothing. */
const LEAF_FRAME_BYTES_MAX = 4096;
const BULK_BYTES_PER_FUEL_LOG2 = 3;
const LOCALS_MAX = 50_000;

const OP = {
  unreachable: 0x00,
  nop: 0x01,
  block: 0x02,
  loop: 0x03,
  if: 0x04,
  else: 0x05,
  end: 0x0b,
  br: 0x0c,
  brIf: 0x0d,
  brTable: 0x0e,
  return: 0x0f,
  call: 0x10,
  callIndirect: 0x11,
  returnCall: 0x12,
  returnCallIndirect: 0x13,
  drop: 0x1a,
  select: 0x1b,
  selectTyped: 0x1c,
  localGet: 0x20,
  localSet: 0x21,
  localTee: 0x22,
  globalGet: 0x23,
  globalSet: 0x24,
  tableGet: 0x25,
  tableSet: 0x26,
  memorySize: 0x3f,
  memoryGrow: 0x40,
  i32Const: 0x41,
  i64Const: 0x42,
  f32Const: 0x43,
  f64Const: 0x44,
  i64LtS: 0x53,
  f32Ne: 0x5c,
  f64Ne: 0x62,
  i32Add: 0x6a,
  i32Sub: 0x6b,
  i64Sub: 0x7d,
  i64ShrU: 0x88,
  i64ExtendI32S: 0xac,
  i64ExtendI32U: 0xad,
  i64Or: 0x84,
  refNull: 0xd0,
  refIsNull: 0xd1,
  refFunc: 0xd2,
  miscellaneous: 0xfc,
  simd: 0xfd,
} as const;
const NO_BLOCK_TYPE = 0x40;
const F32_NAN = [0x00, 0x00, 0xc0, 0x7f] as const;
const F64_NAN = [0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xf8, 0x7f] as const;

interface Label {
  kind: "block" | "loop" | "if" | "else";
  height: number;
  params: readonly number[];
  results: readonly number[];
  /** Whether anything branches to its end. */
  reached: boolean;
}

const bytesOf = (types: readonly number[]): number => types.reduce((sum, type) => sum + (type === V128 ? 16 : 8), 0);
const isFloat = (type: number): boolean => type === F32 || type === F64 || type === V128;

export class FunctionRewriter {
  readonly #module: ParsedModule;
  readonly #add: Additions;
  readonly #body: Writer;
  readonly #head: Writer;
  /** Types of parameters, locals and what the rewriter added, by index. */
  #locals: number[] = [];
  #paramCount = 0;
  #type: FunctionType = { params: [], results: [] };
  #fuelLocal = 0;
  #spLocal = -1;
  #scratch = new Map<string, number>();
  #types: number[] = [];
  /** Beside each value: EXACT, NEVER_NAN, the type (F32, F64) whose NaNs have unknown bits, or a local's mark while locals are analysed. */
  #dirty: number[] = [];
  #labels: Label[] = [];
  #stackBytes = 0;
  #stackBytesMax = 0;
  /** Of the arguments and results of the largest call: they lie on the machine's stack, twice where a compiler copies them. */
  #callBytesMax = 0;
  #pending = 0;
  #calls = false;
  #tailCalls = false;
  #floats: FloatLocals | null = null;
  #reader!: Reader;

  constructor(module: ParsedModule, additions: Additions, body: Writer, head: Writer) {
    this.#module = module;
    this.#add = additions;
    this.#body = body;
    this.#head = head;
  }

  /** Rewrites the function with this type and body into `out`, size first. `floats` is fresh for each function. */
  rewrite(type: FunctionType, start: number, end: number, floats: FloatLocals, out: Writer): void {
    this.#type = type;
    this.#readLocals(new Reader(this.#module.bytes, start, end));
    const codeAt = this.#reader.at;
    if (this.#locals.some(isFloat)) {
      floats.begin(this.#locals, this.#paramCount);
      this.#floats = floats;
      this.#walk(end);
      floats.finish();
      this.#reader = new Reader(this.#module.bytes, codeAt, end);
    } else this.#floats = null;
    this.#walk(end);
    this.#assemble(out);
  }

  #readLocals(reader: Reader): void {
    this.#reader = reader;
    this.#locals = [...this.#type.params];
    this.#paramCount = this.#locals.length;
    for (let groups = reader.u32(); groups > 0; groups--) {
      const at = reader.at;
      const count = reader.u32();
      const type = reader.byte();
      if (this.#locals.length + count > LOCALS_MAX) throw new Refusal("too many locals", at, "the module is malformed");
      for (let i = 0; i < count; i++) this.#locals.push(type);
    }
  }

  #walk(end: number): void {
    const declared = this.#floats?.declared ?? this.#locals.length;
    this.#locals.length = declared;
    this.#fuelLocal = this.#locals.push(I64) - 1;
    this.#spLocal = this.#locals.push(I32) - 1;
    this.#scratch.clear();
    this.#types.length = 0;
    this.#dirty.length = 0;
    this.#stackBytes = this.#stackBytesMax = this.#callBytesMax = this.#pending = 0;
    this.#calls = this.#tailCalls = false;
    this.#loopEnded = false;
    this.#body.clear();
    this.#labels = [{ kind: "block", height: 0, params: [], results: this.#type.results, reached: false }];
    while (this.#labels.length > 0) {
      if (this.#reader.at >= end) throw new Refusal("unexpected end", end, "the module is truncated");
      this.#instruction();
    }
  }

  /* ---- the operand stack ---- */

  #push(type: number, dirty = 0): void {
    this.#types.push(type);
    this.#dirty.push(dirty);
    this.#stackBytes += type === V128 ? 16 : 8;
    if (this.#stackBytes > this.#stackBytesMax) this.#stackBytesMax = this.#stackBytes;
  }
  #pop(): number {
    const type = this.#types.pop()!;
    this.#dirty.pop();
    this.#stackBytes -= type === V128 ? 16 : 8;
    return type;
  }
  #popMany(count: number): void {
    for (let i = 0; i < count; i++) this.#pop();
  }
  #cutTo(height: number): void {
    while (this.#types.length > height) this.#pop();
  }
  #local(name: string, type: number): number {
    let index = this.#scratch.get(name);
    if (index === undefined) this.#scratch.set(name, (index = this.#locals.push(type) - 1));
    return index;
  }

  /* ---- emitting ---- */

  #op(opcode: number, index?: number): void {
    this.#body.byte(opcode);
    if (index !== undefined) this.#body.u32(index);
  }
  #i32(value: number): void {
    this.#body.byte(OP.i32Const);
    this.#body.signed(value);
  }
  #i64(value: number): void {
    this.#body.byte(OP.i64Const);
    this.#body.signed(value);
  }

  /** Takes the pending cost off the local counter. */
  #charge(): void {
    if (this.#pending === 0) return;
    this.#op(OP.localGet, this.#fuelLocal);
    this.#i64(this.#pending);
    this.#op(OP.i64Sub);
    this.#op(OP.localSet, this.#fuelLocal);
    this.#pending = 0;
  }
  #noteFuel(): void {
    this.#op(OP.localGet, this.#fuelLocal);
    this.#op(OP.globalSet, this.#add.fuelGlobal);
  }
  /** Hands the counter to whatever is called next. */
  #handFuel(): void {
    this.#op(OP.localGet, this.#fuelLocal);
    if (this.#pending > 0) {
      this.#i64(this.#pending);
      this.#op(OP.i64Sub);
      this.#pending = 0;
    }
    this.#op(OP.globalSet, this.#add.fuelGlobal);
  }
  #takeFuel(): void {
    this.#op(OP.globalGet, this.#add.fuelGlobal);
    this.#op(OP.localSet, this.#fuelLocal);
  }
  /** Traps when the counter is below zero; only then is it handed over here. A call on this cold path would cost every iteration its registers. */
  #checkFuel(): void {
    this.#op(OP.localGet, this.#fuelLocal);
    this.#i64(0);
    this.#op(OP.i64LtS);
    this.#op(OP.if, NO_BLOCK_TYPE);
    this.#op(OP.localGet, this.#fuelLocal);
    this.#op(OP.globalSet, this.#add.fuelGlobal);
    this.#op(OP.unreachable);
    this.#op(OP.end);
  }

  /** Replaces a NaN on top of the stack by the canonical one. */
  #canonicalTop(type: number, lanes: number): void {
    const scratch = this.#local(`nan${type}`, type);
    this.#op(OP.localTee, scratch);
    if (type === V128) {
      this.#op(OP.simd, 12);
      for (let i = 0; i < 16; i++) this.#body.byte(lanes === F32 ? F32_NAN[i % 4]! : F64_NAN[i % 8]!);
      for (let i = 0; i < 2; i++) this.#op(OP.localGet, scratch);
      this.#op(OP.simd, lanes === F32 ? 65 : 71);
      this.#op(OP.simd, 82);
      return;
    }
    this.#op(OP.localGet, scratch);
    this.#op(type === F32 ? OP.f32Ne : OP.f64Ne);
    this.#op(OP.if, NO_BLOCK_TYPE);
    this.#op(type === F32 ? OP.f32Const : OP.f64Const);
    for (const byte of type === F32 ? F32_NAN : F64_NAN) this.#body.byte(byte);
    this.#op(OP.localSet, scratch);
    this.#op(OP.end);
    this.#op(OP.localGet, scratch);
  }

  /** Makes the bits of the topmost `count` values known; `above` values lie over them and stay as they are. */
  #canonical(count: number, above = 0): void {
    const top = this.#types.length;
    let deepest = -1;
    for (let i = top - above - count; i < top - above; i++)
      if (isDirty(this.#dirty[i]!)) {
        deepest = i;
        break;
      }
    if (deepest < 0) return;
    for (let i = top - 1; i > deepest; i--) this.#op(OP.localSet, this.#local(`spill${top - i}/${this.#types[i]!}`, this.#types[i]!));
    for (let i = deepest; i < top; i++) {
      if (i > deepest) this.#op(OP.localGet, this.#local(`spill${top - i}/${this.#types[i]!}`, this.#types[i]!));
      if (isDirty(this.#dirty[i]!) && i < top - above) {
        this.#canonicalTop(this.#types[i]!, this.#dirty[i]!);
        this.#dirty[i] = 0;
      }
    }
  }

  /* ---- instructions ---- */

  #instruction(): void {
    const at = this.#reader.at;
    const opcode = this.#reader.byte();
    const operation = PLAIN[opcode];
    if (operation) return this.#simple(operation, at);
    switch (opcode) {
      case OP.unreachable:
        this.#charge();
        this.#op(opcode);
        return this.#dead();
      case OP.nop:
        return;
      case OP.block:
      case OP.loop:
      case OP.if:
        return this.#enter(opcode);
      case OP.else:
        return this.#else(true);
      case OP.end:
        return this.#end(true);
      case OP.br:
        return this.#branch(this.#reader.u32());
      case OP.return:
        return this.#branch(this.#labels.length - 1);
      case OP.brIf:
        return this.#branchIf();
      case OP.brTable:
        return this.#branchTable();
      case OP.call:
      case OP.returnCall:
        return this.#call(opcode);
      case OP.callIndirect:
      case OP.returnCallIndirect:
        return this.#callIndirect(opcode);
      case OP.miscellaneous:
        return this.#miscellaneous(at);
      case OP.simd: {
        const sub = this.#reader.u32();
        const simd = SIMD[sub];
        if (!simd) throw new Refusal(...this.#refused(opcode, sub, at));
        return this.#simple(simd, at);
      }
      default:
        return this.#variable(opcode, at);
    }
  }

  /** Of the constant that ends where the reader stands. */
  #constantIsNaN(opcode: number): boolean {
    const { bytes } = this.#module;
    const at = this.#reader.at;
    const top = (bytes[at - 1]! & 0x7f) * 256 + bytes[at - 2]!;
    return opcode === OP.f32Const ? top >= 0x7f80 : top >= 0x7ff0;
  }

  #refused(opcode: number, sub: number, at: number): [string, number, string] {
    const [what, advice] = refusedOpcode(opcode, sub);
    return [what, at, advice];
  }

  /** Copies the original bytes of an instruction from `at` up to where the reader stands. */
  #copy(at: number): void {
    this.#body.copy(this.#module.bytes, at, this.#reader.at);
  }

  #skipImmediate(operation: Operation): void {
    const reader = this.#reader;
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

  #simple(operation: Operation, at: number): void {
    this.#skipImmediate(operation);
    const { params, float } = operation;
    const count = params.length;
    const base = this.#types.length - count;
    if (float === "sees") this.#canonical(count);
    else if (params[0] === V128) {
      for (let i = 0; i < count; i++) if (isDirty(this.#dirty[base + i]!) && this.#dirty[base + i] !== operation.lanesIn) this.#canonical(count - i);
    }
    const first = count > 0 ? this.#dirty[base]! : EXACT;
    this.#popMany(count);
    if (operation.result !== 0) {
      const made = operation.result === V128 ? operation.lanes : operation.result;
      const plain = count > 0 && (operation.result === F32 || operation.result === F64) && operation.name.includes(".convert") ? NEVER_NAN : EXACT;
      this.#push(operation.result, float === "arith" ? made : float === "keeps" ? first : plain);
    }
    this.#pending += operation.cost;
    this.#copy(at);
  }

  #dead(): void {
    const { height } = this.#labels.at(-1)!;
    this.#cutTo(height);
    this.#pending = 0;
    this.#skipDead();
  }

  /** Skips to the `end` or `else` of the innermost label, decoding only what is needed to find it. */
  #skipDead(): void {
    const reader = this.#reader;
    for (let depth = 0; ;) {
      const at = reader.at;
      const opcode = reader.byte();
      if (opcode === OP.block || opcode === OP.loop || opcode === OP.if) {
        reader.s33();
        depth++;
      } else if (opcode === OP.end && depth-- === 0) return this.#end(false);
      else if (opcode === OP.else && depth === 0) return this.#else(false);
      else if (opcode !== OP.end && opcode !== OP.else) this.#skipOne(opcode, at);
    }
  }

  #skipOne(opcode: number, at: number): void {
    const reader = this.#reader;
    const plain = PLAIN[opcode];
    if (plain) return this.#skipImmediate(plain);
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
        if (sub > 17) throw new Refusal(...this.#refused(opcode, sub, at));
        if (sub >= 8) reader.skipLeb();
        if (sub === 8 || sub === 10 || sub === 12 || sub === 14) reader.skipLeb();
        return;
      }
      case OP.simd: {
        const sub = reader.u32();
        const simd = SIMD[sub];
        if (!simd) throw new Refusal(...this.#refused(opcode, sub, at));
        return this.#skipImmediate(simd);
      }
      default:
        throw new Refusal(...this.#refused(opcode, 0, at));
    }
  }

  #blockType(): FunctionType {
    const type = this.#reader.s33();
    if (type === -64) return { params: [], results: [] };
    if (type < 0) return { params: [], results: [type + 128] };
    return this.#module.types[type]!;
  }

  #enter(opcode: number): void {
    const typeAt = this.#reader.at;
    const { params, results } = this.#blockType();
    if (opcode === OP.if) this.#pending++;
    this.#canonical(params.length, opcode === OP.if ? 1 : 0);
    if (opcode !== OP.block) this.#charge();
    if (opcode === OP.if) this.#pop();
    this.#op(opcode);
    this.#copy(typeAt);
    const height = this.#types.length - params.length;
    this.#labels.push({ kind: opcode === OP.loop ? "loop" : opcode === OP.if ? "if" : "block", height, params, results, reached: false });
    if (opcode === OP.loop) {
      this.#checkFuel();
      this.#pending = 1;
    }
  }

  #else(live: boolean): void {
    const label = this.#labels.at(-1)!;
    if (live) {
      this.#canonical(label.results.length);
      this.#charge();
      label.reached = true;
    }
    this.#op(OP.else);
    label.kind = "else";
    this.#cutTo(label.height);
    for (const type of label.params) this.#push(type);
    this.#pending = 0;
  }

  #end(live: boolean): void {
    const label = this.#labels.pop()!;
    const joins = label.reached || label.kind === "if" || label.kind === "else";
    if (live) {
      if (joins || this.#labels.length === 0) this.#canonical(label.results.length);
      if (joins) this.#charge();
    } else this.#pending = 0;
    const carried = live && !joins ? this.#dirty.slice(label.height) : null;
    this.#cutTo(label.height);
    for (const [i, type] of label.results.entries()) this.#push(type, carried?.[i] ?? 0);
    this.#op(OP.end);
    if (label.kind === "loop" || (label.reached && this.#loopEnded)) this.#noteFuel();
    this.#loopEnded = label.kind === "loop";
  }
  #loopEnded = false;

  /** The types that a branch to the label carries. */
  #carried(depth: number): readonly number[] {
    const label = this.#labels[this.#labels.length - 1 - depth]!;
    if (label.kind !== "loop") label.reached = true;
    return label.kind === "loop" ? label.params : label.results;
  }

  #branch(depth: number): void {
    this.#pending++;
    this.#canonical(this.#carried(depth).length);
    this.#charge();
    this.#op(OP.br, depth);
    this.#dead();
  }

  #branchIf(): void {
    const depth = this.#reader.u32();
    this.#pending++;
    this.#canonical(this.#carried(depth).length, 1);
    this.#charge();
    this.#pop();
    this.#op(OP.brIf, depth);
  }

  #branchTable(): void {
    const at = this.#reader.at;
    let carried: readonly number[] = [];
    for (let left = this.#reader.u32() + 1; left > 0; left--) carried = this.#carried(this.#reader.u32());
    this.#pending++;
    this.#canonical(carried.length, 1);
    this.#charge();
    this.#op(OP.brTable);
    this.#copy(at);
    this.#dead();
  }

  #typeOfFunction(index: number): FunctionType {
    const { imports, functions, types } = this.#module;
    return types[index < imports.length ? imports[index]!.type : functions[index - imports.length]!]!;
  }

  #call(opcode: number): void {
    const index = this.#reader.u32();
    const type = this.#typeOfFunction(index);
    this.#canonical(type.params.length);
    this.#invoke(opcode, type, type.params.length, () => this.#body.u32(this.#add.functionIndex(index)));
  }

  #callIndirect(opcode: number): void {
    const typeIndex = this.#reader.u32();
    const table = this.#reader.u32();
    const type = this.#module.types[typeIndex]!;
    this.#canonical(type.params.length, 1);
    this.#invoke(opcode, type, type.params.length + 1, () => {
      this.#body.u32(typeIndex);
      this.#body.u32(table);
    });
  }

  #invoke(opcode: number, type: FunctionType, operands: number, immediates: () => void): void {
    this.#calls = true;
    this.#callBytesMax = Math.max(this.#callBytesMax, bytesOf(type.params) + bytesOf(type.results));
    this.#pending++;
    this.#handFuel();
    const tail = opcode === OP.returnCall || opcode === OP.returnCallIndirect;
    if (tail) this.#restoreCallersStack();
    this.#op(opcode);
    immediates();
    if (tail) return this.#dead();
    this.#popMany(operands);
    for (const result of type.results) this.#push(result);
    this.#takeFuel();
  }

  /** Before a tail call. The entry leaves it in a local of its own, since the frame's size is not known here. */
  #restoreCallersStack(): void {
    this.#tailCalls = true;
    this.#op(OP.localGet, this.#local("caller-stack", I32));
    this.#op(OP.globalSet, this.#add.stackGlobal);
  }

  #chargeBulk(shift: number): void {
    const scratch = this.#local("bulk", I32);
    this.#op(OP.localSet, scratch);
    this.#op(OP.localGet, this.#fuelLocal);
    this.#op(OP.localGet, scratch);
    this.#op(OP.i64ExtendI32U);
    if (shift > 0) {
      this.#i64(shift);
      this.#op(OP.i64ShrU);
    }
    this.#op(OP.i64Sub);
    this.#op(OP.localSet, this.#fuelLocal);
    this.#op(OP.localGet, scratch);
  }

  #miscellaneous(at: number): void {
    const sub = this.#reader.u32();
    const saturating = SATURATING[sub];
    if (saturating) return this.#simple(saturating, at);
    if (sub > 17) throw new Refusal(...this.#refused(OP.miscellaneous, sub, at));
    const bytes = sub === 8 || sub === 10 || sub === 11;
    const operands = sub === 9 || sub === 13 || sub === 16 ? 0 : sub === 15 ? 2 : 3;
    this.#reader.skipLeb();
    if (sub === 8 || sub === 10 || sub === 12 || sub === 14) this.#reader.skipLeb();
    this.#pending++;
    if (operands > 0) this.#chargeBulk(bytes ? BULK_BYTES_PER_FUEL_LOG2 : 0);
    this.#copy(at);
    this.#popMany(operands);
    if (sub === 15 || sub === 16) this.#push(I32);
  }

  #variable(opcode: number, at: number): void {
    const reader = this.#reader;
    switch (opcode) {
      case OP.drop:
        this.#pop();
        this.#pending++;
        return this.#op(opcode);
      case OP.select:
      case OP.selectTyped: {
        if (opcode === OP.selectTyped) reader.skip(reader.u32());
        const top = this.#types.length;
        const [first, second] = [this.#dirty[top - 3]!, this.#dirty[top - 2]!];
        const alike = first === second || first === NEVER_NAN || second === NEVER_NAN;
        if (!alike) this.#canonical(2, 1);
        const dirty = alike ? (first === NEVER_NAN ? second : first) : EXACT;
        this.#pop();
        this.#pop();
        const type = this.#pop();
        this.#push(type, dirty);
        break;
      }
      case OP.localGet: {
        const index = reader.u32();
        const type = this.#locals[index]!;
        this.#push(type, isFloat(type) ? this.#floats!.dirtyOf(index) : 0);
        break;
      }
      case OP.localSet:
      case OP.localTee: {
        const index = reader.u32();
        const top = this.#dirty.length - 1;
        const type = this.#types[top]!;
        if (isFloat(type)) {
          this.#floats!.set(index, this.#dirty[top]!);
          if (this.#floats!.mustBeCanonical(index)) this.#canonical(1);
        }
        if (opcode === OP.localSet) this.#pop();
        else if (isFloat(type)) this.#dirty[top] = this.#floats!.dirtyOf(index);
        break;
      }
      case OP.globalGet:
        this.#push(this.#module.globals[reader.u32()]!.type);
        break;
      case OP.globalSet:
        reader.u32();
        this.#canonical(1);
        this.#pop();
        break;
      case OP.tableGet: {
        const { type } = this.#module.tables[reader.u32()]!;
        this.#pop();
        this.#push(type);
        break;
      }
      case OP.tableSet:
        reader.u32();
        this.#popMany(2);
        break;
      case OP.memorySize:
        reader.u32();
        this.#push(I32);
        break;
      case OP.memoryGrow:
        reader.u32();
        this.#pop();
        this.#push(I32);
        this.#pending++;
        this.#handFuel();
        this.#op(OP.call, this.#add.grow);
        return this.#takeFuel();
      case OP.i32Const:
      case OP.i64Const:
        reader.skipLeb();
        this.#push(opcode === OP.i32Const ? I32 : I64);
        break;
      case OP.f32Const:
      case OP.f64Const:
        reader.skip(opcode === OP.f32Const ? 4 : 8);
        this.#push(opcode === OP.f32Const ? F32 : F64, this.#constantIsNaN(opcode) ? EXACT : NEVER_NAN);
        break;
      case OP.refNull: {
        const type = reader.byte();
        if (type !== FUNCREF && type !== EXTERNREF) throw new Refusal(`reference type 0x${type.toString(16)}`, at, "compile for wasm32-wasip1");
        this.#push(type);
        break;
      }
      case OP.refIsNull:
        this.#pop();
        this.#push(I32);
        break;
      case OP.refFunc:
        this.#push(FUNCREF);
        this.#pending++;
        return this.#op(OP.refFunc, this.#add.functionIndex(reader.u32()));
      default:
        throw new Refusal(...this.#refused(opcode, 0, at));
    }
    this.#pending++;
    this.#copy(at);
  }

  /* ---- putting it together ---- */

  #assemble(out: Writer): void {
    const frame = FRAME_BYTES_BASE + bytesOf(this.#locals) + this.#stackBytesMax + 2 * (this.#callBytesMax + bytesOf(this.#type.results));
    const counted = this.#calls || frame > LEAF_FRAME_BYTES_MAX;
    const head = this.#head;
    head.clear();
    const added = this.#locals.slice(this.#paramCount);
    const groups: [number, number][] = [];
    for (const type of added) {
      const last = groups.at(-1);
      if (last?.[1] === type) last[0]++;
      else groups.push([1, type]);
    }
    head.u32(groups.length);
    for (const [count, type] of groups) {
      head.u32(count);
      head.byte(type);
    }
    const op = (opcode: number, index?: number): void => {
      head.byte(opcode);
      if (index !== undefined) head.u32(index);
    };
    const { fuelGlobal, stackGlobal } = this.#add;
    op(OP.globalGet, fuelGlobal);
    op(OP.localSet, this.#fuelLocal);
    if (counted) {
      op(OP.globalGet, stackGlobal);
      if (this.#tailCalls) op(OP.localTee, this.#local("caller-stack", I32));
      op(OP.i32Const);
      head.signed(frame);
      op(OP.i32Sub);
      op(OP.localTee, this.#spLocal);
      op(OP.globalSet, stackGlobal);
      op(OP.localGet, this.#spLocal);
      op(OP.i64ExtendI32S);
      op(OP.localGet, this.#fuelLocal);
      op(OP.i64Or);
      op(OP.i64Const, 0);
      op(OP.i64LtS);
      op(OP.if, NO_BLOCK_TYPE);
      op(OP.unreachable);
      op(OP.end);
    }
    op(OP.block);
    head.signed(this.#add.blockType(this.#type.results));
    // the walk has already written the block's own end; what follows is the way out
    this.#op(OP.localGet, this.#fuelLocal);
    if (this.#pending > 0) {
      this.#i64(this.#pending);
      this.#op(OP.i64Sub);
    }
    this.#op(OP.globalSet, fuelGlobal);
    if (counted) {
      this.#op(OP.localGet, this.#spLocal);
      this.#i32(frame);
      this.#op(OP.i32Add);
      this.#op(OP.globalSet, stackGlobal);
    }
    this.#op(OP.end);
    out.u32(head.length + this.#body.length);
    out.copy(head.view());
    out.copy(this.#body.view());
  }
}
