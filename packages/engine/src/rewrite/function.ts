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
 * loop; what ran since is not in it when a guest traps. Code that cannot be reached (after br, return, unreachable, up to the next end or
 * else) is left out.
 */
import { Reader, Refusal, type Writer } from "./binary.ts";
import { EXACT, NEVER_NAN, isDirty, type FloatLocals } from "./float-locals.ts";
import { Emitter, type Additions } from "./emitter.ts";
import { assertWithin } from "./module-limits.ts";
import type { FunctionType, ParsedModule, Span } from "./module.ts";
import { NO_BLOCK_TYPE, OP } from "./op.ts";
import { EXTERNREF, F32, F64, FUNCREF, I32, I64, PLAIN, SATURATING, SIMD, V128, type Operation } from "./opcodes.ts";
import { Operands, bytesOf } from "./operands.ts";
import { refusal, skipDead, skipImmediate } from "./skip.ts";

/** What a call takes on the machine's stack besides its values: return address, frame pointer, instance, spilled registers. */
const FRAME_BYTES_BASE = 96;
/** A frame this large counts even in a function that calls nothing. */
const LEAF_FRAME_BYTES_MAX = 4096;
const BULK_BYTES_PER_FUEL_LOG2 = 3;
const LOCALS_MAX = 50_000;
/** After the prefix `OP.miscellaneous`: data.drop, table.init, elem.drop, table.copy, table.grow, table.fill. */
const CHANGES_TABLES_OR_SEGMENTS: readonly number[] = [9, 12, 13, 14, 15, 17];

interface Label {
  kind: "block" | "loop" | "if" | "else";
  height: number;
  params: readonly number[];
  results: readonly number[];
  /** Whether anything branches to its end. */
  reached: boolean;
}

/**
 * What every function takes besides its own parameters: the fuel that is left, which it also returns last, and the bytes of stack that
 * are left.
 */
export const ADDED_PARAMS = [I64, I32] as const;
const isTailCall = (opcode: number): boolean => opcode === OP.returnCall || opcode === OP.returnCallIndirect;
const isFloat = (type: number): boolean => type === F32 || type === F64 || type === V128;

export class FunctionRewriter {
  readonly #module: ParsedModule;
  readonly #add: Additions;
  readonly #out: Emitter;
  readonly #head: Writer;
  readonly #stack = new Operands();
  /** Functions written so far that check the fuel at their entry, by their index in the original. */
  readonly #checking = new Set<number>();
  #index = 0;
  #paramCount = 0;
  #type: FunctionType = { params: [], results: [] };
  #spLocal = -1;
  /** How many locals the function has besides those that the walk adds. */
  #declared = 0;
  /** Of all functions so far. */
  #localsInAll = 0;
  /** Locals and operands at the head of each block so far. */
  #keptOver = 0;
  #labels: Label[] = [];
  /** Of the arguments and results of the largest call: they lie on the machine's stack, twice where a compiler copies them. */
  #callBytesMax = 0;
  #calls = false;
  #floats: FloatLocals | null = null;
  #reader!: Reader;

  constructor(module: ParsedModule, additions: Additions, body: Writer, head: Writer) {
    this.#module = module;
    this.#add = additions;
    this.#out = new Emitter(additions, body);
    this.#head = head;
  }

  /** Rewrites the function with this index and body into `out`, size first. */
  rewrite(index: number, { start, end }: Span, floats: FloatLocals, out: Writer): void {
    this.#index = index;
    this.#type = this.#typeOfFunction(index);
    this.#readLocals(new Reader(this.#module.bytes, start, end));
    const codeAt = this.#reader.at;
    if (this.#out.locals.some(isFloat)) {
      floats.begin(this.#out.locals, this.#paramCount);
      this.#floats = floats;
      this.#walk(end);
      floats.finish();
      this.#reader = new Reader(this.#module.bytes, codeAt, end);
    } else this.#floats = null;
    this.#walk(end);
    this.#assemble(out, end);
  }

  #readLocals(reader: Reader): void {
    this.#reader = reader;
    this.#paramCount = this.#type.params.length;
    this.#out.locals = [...this.#type.params, ...ADDED_PARAMS];
    this.#out.fuelLocal = this.#paramCount;
    for (let groups = reader.u32(); groups > 0; groups--) {
      const at = reader.at;
      const count = reader.u32();
      const type = reader.byte();
      if (this.#out.locals.length + count > LOCALS_MAX) throw new Refusal("too many locals", at, "the module is malformed");
      assertWithin("locals", (this.#localsInAll += count), at);
      for (let i = 0; i < count; i++) this.#out.locals.push(type);
    }
    this.#declared = this.#out.locals.length;
  }

  /** Fuel and stack stand between the parameters and the other locals. */
  #localIndex(): number {
    const index = this.#reader.u32();
    return index < this.#paramCount ? index : index + ADDED_PARAMS.length;
  }

  #walk(end: number): void {
    this.#out.clear(this.#declared);
    this.#stack.clear();
    this.#spLocal = this.#out.locals.push(I32) - 1;
    this.#callBytesMax = 0;
    this.#calls = false;
    this.#loopEnded = false;
    this.#keptOver = 0;
    this.#labels = [{ kind: "block", height: 0, params: [], results: this.#type.results, reached: false }];
    while (this.#labels.length > 0) {
      if (this.#reader.at >= end) throw new Refusal("unexpected end", end, "the module is truncated");
      this.#instruction();
    }
  }

  /** Makes the bits of the topmost `count` values known; `above` values lie over them and stay as they are. */
  #canonical(count: number, above = 0): void {
    const top = this.#stack.types.length;
    let deepest = -1;
    for (let i = top - above - count; i < top - above; i++)
      if (isDirty(this.#stack.dirty[i]!)) {
        deepest = i;
        break;
      }
    if (deepest < 0) return;
    for (let i = top - 1; i > deepest; i--)
      this.#out.op(OP.localSet, this.#out.local(`spill${top - i}/${this.#stack.types[i]!}`, this.#stack.types[i]!));
    for (let i = deepest; i < top; i++) {
      if (i > deepest) this.#out.op(OP.localGet, this.#out.local(`spill${top - i}/${this.#stack.types[i]!}`, this.#stack.types[i]!));
      if (isDirty(this.#stack.dirty[i]!) && i < top - above) {
        this.#out.canonicalTop(this.#stack.types[i]!, this.#stack.dirty[i]!);
        this.#stack.dirty[i] = 0;
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
        this.#out.charge();
        this.#out.op(opcode);
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
        if (!simd) throw refusal(opcode, sub, at);
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

  /** Copies the original bytes of an instruction from `at` up to where the reader stands. */
  #copy(at: number): void {
    this.#out.body.copy(this.#module.bytes, at, this.#reader.at);
  }

  #simple(operation: Operation, at: number): void {
    skipImmediate(this.#reader, operation);
    const { params, float } = operation;
    const count = params.length;
    if (count === 2 && operation.result === 0 && isDirty(this.#stack.dirty.at(-1)!) && params[1] !== V128)
      return this.#storeFloat(operation, at);
    const base = this.#stack.types.length - count;
    if (float === "sees") this.#canonical(count);
    else if (params[0] === V128) {
      for (let i = 0; i < count; i++)
        if (isDirty(this.#stack.dirty[base + i]!) && this.#stack.dirty[base + i] !== operation.lanesIn) this.#canonical(count - i);
    }
    const first = count > 0 ? this.#stack.dirty[base]! : EXACT;
    this.#stack.popMany(count);
    if (operation.result !== 0) {
      const made = operation.result === V128 ? operation.lanes : operation.result;
      const plain =
        count > 0 && (operation.result === F32 || operation.result === F64) && operation.name.includes(".convert") ? NEVER_NAN : EXACT;
      this.#stack.push(operation.result, float === "arith" ? made : float === "keeps" ? first : plain);
    }
    this.#out.pending += operation.cost;
    this.#copy(at);
  }

  /** Stores first and looks afterwards: the way of the value to memory, where the next iteration waits for it, stays as short as it was. */
  #storeFloat(operation: Operation, at: number): void {
    const type = operation.params[1]!;
    const [address, value] = [this.#out.local("address", I32), this.#out.local(`stored${type}`, type)];
    this.#stack.popMany(2);
    this.#out.op(OP.localSet, value);
    this.#out.op(OP.localTee, address);
    this.#out.op(OP.localGet, value);
    this.#copy(at);
    for (let i = 0; i < 2; i++) this.#out.op(OP.localGet, value);
    this.#out.op(type === F32 ? OP.f32Ne : OP.f64Ne);
    this.#out.op(OP.if, NO_BLOCK_TYPE);
    this.#out.op(OP.localGet, address);
    this.#out.canonicalNaN(type);
    this.#copy(at);
    this.#out.op(OP.end);
    this.#out.pending += operation.cost;
  }

  #dead(): void {
    const { height } = this.#labels.at(-1)!;
    this.#stack.cutTo(height);
    this.#out.pending = 0;
    this.#out.endRun();
    if (skipDead(this.#reader) === "end") this.#end(false);
    else this.#else(false);
  }

  #blockType(): FunctionType {
    const type = this.#reader.s33();
    if (type === -64) return { params: [], results: [] };
    if (type < 0) return { params: [], results: [type + 128] };
    return this.#module.types[type]!;
  }

  #enter(opcode: number): void {
    const { params, results } = this.#blockType();
    if (opcode === OP.if) this.#out.pending++;
    this.#canonical(params.length, opcode === OP.if ? 1 : 0);
    if (opcode !== OP.block) {
      this.#out.charge();
      this.#out.endRun();
    }
    if (opcode === OP.if) this.#stack.pop();
    this.#out.op(opcode);
    this.#out.body.signed(this.#add.blockType(params, results));
    const height = this.#stack.types.length - params.length;
    assertWithin("blocks inside each other", this.#labels.length, this.#reader.at);
    this.#keptOver += this.#out.locals.length + height;
    assertWithin("values to keep over the blocks of one function", this.#keptOver, this.#reader.at);
    this.#labels.push({ kind: opcode === OP.loop ? "loop" : opcode === OP.if ? "if" : "block", height, params, results, reached: false });
    if (opcode === OP.loop) {
      this.#out.checkLoop();
      this.#out.pending = 1;
    }
  }

  #else(live: boolean): void {
    const label = this.#labels.at(-1)!;
    if (live) {
      this.#canonical(label.results.length);
      this.#out.charge();
      label.reached = true;
    }
    this.#out.op(OP.else);
    this.#out.endRun();
    label.kind = "else";
    this.#stack.cutTo(label.height);
    for (const type of label.params) this.#stack.push(type);
    this.#out.pending = 0;
  }

  #end(live: boolean): void {
    const label = this.#labels.pop()!;
    const joins = label.reached || label.kind === "if" || label.kind === "else";
    if (live) {
      if (joins || this.#labels.length === 0) this.#canonical(label.results.length);
      if (joins) this.#out.charge();
    } else this.#out.pending = 0;
    if (joins || !live) this.#out.endRun();
    const carried = live && !joins ? this.#stack.dirty.slice(label.height) : null;
    this.#stack.cutTo(label.height);
    for (const [i, type] of label.results.entries()) this.#stack.push(type, carried?.[i] ?? 0);
    this.#out.op(OP.end);
    if (label.kind === "loop" || (label.reached && this.#loopEnded)) this.#out.noteFuel();
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
    this.#out.pending++;
    this.#canonical(this.#carried(depth).length);
    this.#out.charge();
    this.#out.op(OP.br, depth);
    this.#dead();
  }

  #branchIf(): void {
    const depth = this.#reader.u32();
    this.#out.pending++;
    this.#canonical(this.#carried(depth).length, 1);
    this.#out.charge();
    this.#out.endRun();
    this.#stack.pop();
    this.#out.op(OP.brIf, depth);
  }

  #branchTable(): void {
    const at = this.#reader.at;
    let carried: readonly number[] = [];
    for (let left = this.#reader.u32() + 1; left > 0; left--) carried = this.#carried(this.#reader.u32());
    this.#out.pending++;
    this.#canonical(carried.length, 1);
    this.#out.charge();
    this.#out.op(OP.brTable);
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
    this.#handOver(opcode);
    if (index === this.#index || this.#checking.has(index)) this.#out.calledChecking();
    this.#out.op(opcode, this.#add.functionIndex(index));
    this.#return(opcode, type, type.params.length);
  }

  #callIndirect(opcode: number): void {
    const typeIndex = this.#reader.u32();
    const table = this.#reader.u32();
    const type = this.#module.types[typeIndex]!;
    this.#canonical(type.params.length, 1);
    const entry = this.#out.local("entry", I32);
    this.#out.op(OP.localSet, entry);
    this.#handOver(opcode);
    this.#out.op(OP.localGet, entry);
    this.#out.op(opcode, typeIndex);
    this.#out.body.u32(table);
    this.#return(opcode, type, type.params.length + 1);
  }

  /** The last two arguments of every call. A tail call gives up the caller's own frame. */
  #handOver(opcode: number): void {
    this.#calls = true;
    this.#out.pending++;
    this.#out.pushFuel();
    this.#out.op(OP.localGet, isTailCall(opcode) ? this.#out.fuelLocal + 1 : this.#spLocal);
  }

  #return(opcode: number, type: FunctionType, operands: number): void {
    this.#callBytesMax = Math.max(this.#callBytesMax, bytesOf(type.params) + bytesOf(type.results) + bytesOf(ADDED_PARAMS));
    if (isTailCall(opcode)) return this.#dead();
    this.#out.op(OP.localSet, this.#out.fuelLocal);
    this.#stack.popMany(operands);
    for (const result of type.results) this.#stack.push(result);
  }

  #chargeBulk(shift: number): void {
    const scratch = this.#out.local("bulk", I32);
    this.#out.op(OP.localSet, scratch);
    this.#out.op(OP.localGet, this.#out.fuelLocal);
    this.#out.op(OP.localGet, scratch);
    this.#out.op(OP.i64ExtendI32U);
    if (shift > 0) {
      this.#out.i64(shift);
      this.#out.op(OP.i64ShrU);
    }
    this.#out.op(OP.i64Sub);
    this.#out.op(OP.localSet, this.#out.fuelLocal);
    this.#out.op(OP.localGet, scratch);
  }

  #miscellaneous(at: number): void {
    const sub = this.#reader.u32();
    if (CHANGES_TABLES_OR_SEGMENTS.includes(sub)) this.#mustBeStill(at);
    const saturating = SATURATING[sub];
    if (saturating) return this.#simple(saturating, at);
    if (sub > 17) throw refusal(OP.miscellaneous, sub, at);
    const bytes = sub === 8 || sub === 10 || sub === 11;
    const operands = sub === 9 || sub === 13 || sub === 16 ? 0 : sub === 15 ? 2 : 3;
    this.#reader.skipLeb();
    if (sub === 8 || sub === 10 || sub === 12 || sub === 14) this.#reader.skipLeb();
    this.#out.pending++;
    if (operands > 0) this.#chargeBulk(bytes ? BULK_BYTES_PER_FUEL_LOG2 : 0);
    this.#copy(at);
    this.#stack.popMany(operands);
    if (sub === 15 || sub === 16) this.#stack.push(I32);
  }

  #variable(opcode: number, at: number): void {
    const reader = this.#reader;
    switch (opcode) {
      case OP.drop:
        this.#stack.pop();
        this.#out.pending++;
        return this.#out.op(opcode);
      case OP.select:
      case OP.selectTyped: {
        if (opcode === OP.selectTyped) reader.skip(reader.u32());
        const top = this.#stack.types.length;
        const [first, second] = [this.#stack.dirty[top - 3]!, this.#stack.dirty[top - 2]!];
        const alike = first === second || first === NEVER_NAN || second === NEVER_NAN;
        if (!alike) this.#canonical(2, 1);
        const dirty = alike ? (first === NEVER_NAN ? second : first) : EXACT;
        this.#stack.pop();
        this.#stack.pop();
        const type = this.#stack.pop();
        this.#stack.push(type, dirty);
        break;
      }
      case OP.localGet: {
        const index = this.#localIndex();
        const type = this.#out.locals[index]!;
        this.#stack.push(type, isFloat(type) ? this.#floats!.dirtyOf(index) : 0);
        this.#out.pending++;
        return this.#out.op(opcode, index);
      }
      case OP.localSet:
      case OP.localTee: {
        const index = this.#localIndex();
        const top = this.#stack.dirty.length - 1;
        const type = this.#stack.types[top]!;
        if (isFloat(type)) {
          this.#floats!.set(index, this.#stack.dirty[top]!);
          if (this.#floats!.mustBeCanonical(index)) this.#canonical(1);
        }
        if (opcode === OP.localSet) this.#stack.pop();
        else if (isFloat(type)) this.#stack.dirty[top] = this.#floats!.dirtyOf(index);
        this.#out.pending++;
        return this.#out.op(opcode, index);
      }
      case OP.globalGet:
        this.#stack.push(this.#module.globals[reader.u32()]!.type);
        break;
      case OP.globalSet:
        reader.u32();
        this.#canonical(1);
        this.#stack.pop();
        break;
      case OP.tableGet: {
        const { type } = this.#module.tables[reader.u32()]!;
        this.#stack.pop();
        this.#stack.push(type);
        break;
      }
      case OP.tableSet:
        this.#mustBeStill(at);
        reader.u32();
        this.#stack.popMany(2);
        break;
      case OP.memorySize:
        reader.u32();
        this.#stack.push(I32);
        break;
      case OP.memoryGrow:
        reader.u32();
        this.#stack.pop();
        this.#stack.push(I32);
        this.#out.pending++;
        this.#out.pushFuel();
        this.#out.op(OP.globalSet, this.#add.fuelGlobal);
        this.#out.op(OP.call, this.#add.grow);
        return this.#out.takeFuel();
      case OP.i32Const:
      case OP.i64Const:
        reader.skipLeb();
        this.#stack.push(opcode === OP.i32Const ? I32 : I64);
        break;
      case OP.f32Const:
      case OP.f64Const:
        reader.skip(opcode === OP.f32Const ? 4 : 8);
        this.#stack.push(opcode === OP.f32Const ? F32 : F64, this.#constantIsNaN(opcode) ? EXACT : NEVER_NAN);
        break;
      case OP.refNull: {
        const type = reader.byte();
        if (type !== FUNCREF && type !== EXTERNREF)
          throw new Refusal(`reference type 0x${type.toString(16)}`, at, "compile for wasm32-wasip1");
        this.#stack.push(type);
        break;
      }
      case OP.refIsNull:
        this.#stack.pop();
        this.#stack.push(I32);
        break;
      case OP.refFunc:
        this.#stack.push(FUNCREF);
        this.#out.pending++;
        return this.#out.op(OP.refFunc, this.#add.functionIndex(reader.u32()));
      default:
        throw refusal(opcode, 0, at);
    }
    this.#out.pending++;
    this.#copy(at);
  }

  /** What a table holds and which segments were dropped cannot be read from outside, so no checkpoint could hold it. */
  #mustBeStill(at: number): void {
    if (this.#add.checkpoint)
      throw new Refusal("an instruction that changes a table or drops a segment", at, "such a job has no checkpoints");
  }

  /* ---- putting it together ---- */

  #assemble(out: Writer, end: number): void {
    const frame =
      FRAME_BYTES_BASE + bytesOf(this.#out.locals) + this.#stack.bytesMax + 2 * (this.#callBytesMax + bytesOf(this.#type.results));
    const counted = this.#calls || frame > LEAF_FRAME_BYTES_MAX;
    if (counted) this.#checking.add(this.#index);
    const head = this.#head;
    head.clear();
    const added = this.#out.locals.slice(this.#paramCount + ADDED_PARAMS.length);
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
    if (counted) {
      op(OP.localGet, this.#out.fuelLocal + 1);
      op(OP.i32Const);
      head.signed(frame);
      op(OP.i32Sub);
      op(OP.localTee, this.#spLocal);
      op(OP.i64ExtendI32S);
      op(OP.localGet, this.#out.fuelLocal);
      op(OP.globalSet, fuelGlobal);
      op(OP.localGet, this.#out.fuelLocal);
      op(OP.i64Or);
      op(OP.i64Const, 0);
      op(OP.i64LtS);
      op(OP.if, NO_BLOCK_TYPE);
      op(OP.localGet, this.#out.fuelLocal);
      op(OP.globalSet, fuelGlobal);
      op(OP.localGet, this.#spLocal);
      op(OP.globalSet, stackGlobal);
      op(OP.unreachable);
      op(OP.end);
      if (this.#add.checkpoint) this.#out.pass(head, this.#add.checkpoint);
    }
    op(OP.block);
    head.signed(this.#add.blockType([], this.#type.results));
    // the walk has already written the block's own end; what follows is the way out
    this.#out.pushFuel();
    this.#out.op(OP.end);
    if (this.#out.locals.length > LOCALS_MAX) throw new Refusal("too many locals", end, "the engine needs some of its own");
    assertWithin("bytes of one function with its metering", head.length + this.#out.body.length, end);
    out.u32(head.length + this.#out.body.length);
    out.copy(head.view());
    out.copy(this.#out.body.view());
  }
}
