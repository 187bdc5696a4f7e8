/**
 * Random valid WASI modules that use every opcode the engine allows, with floats full of NaNs, wild addresses, loops, calls, tables and growth.
 * The same seed gives the same bytes. Their memory at the end holds what they computed, so that its hash shows any difference.
 */
import { Writer } from "../../packages/engine/src/rewrite/binary.ts";
import {
  F32,
  F64,
  FUNCREF,
  I32,
  I64,
  IMMEDIATE,
  PLAIN,
  SATURATING,
  SIMD,
  V128,
  type Operation,
} from "../../packages/engine/src/rewrite/opcodes.ts";
import { Random } from "../../packages/testkit/src/random.ts";

const VALUE_TYPES = [I32, I64, F32, F64, V128] as const;
const FUNCTIONS = 6;
const LOOP_ROUNDS = 40;
const TABLE_SIZE = 8;
const GLOBALS = [I32, I64, F32, F64] as const;

interface Coded {
  operation: Operation;
  prefix: number;
  code: number;
}

const ALL: Coded[] = [
  ...PLAIN.flatMap((operation, code) => (operation ? [{ operation, prefix: -1, code }] : [])),
  ...SATURATING.map((operation, code) => ({ operation, prefix: 0xfc, code })),
  ...SIMD.flatMap((operation, code) => (operation ? [{ operation, prefix: 0xfd, code }] : [])),
];
const BY_RESULT = new Map([0, ...VALUE_TYPES].map((type) => [type, ALL.filter(({ operation }) => operation.result === type)]));

/** Natural alignment and lane count from an operation's name. */
const widthOf = (name: string): number => {
  const bits = /(?:load|store)(\d+)?(?:x(\d+))?/.exec(name);
  if (bits?.[1]) return (Number(bits[1]) * Number(bits[2] ?? 1)) / 8;
  return name.startsWith("v128") ? 16 : name.startsWith("i64") || name.startsWith("f64") ? 8 : 4;
};
const lanesOf = (name: string): number => {
  const shaped = /x(\d+)\./.exec(name);
  if (shaped) return Number(shaped[1]);
  return 16 / widthOf(name);
};

const F32_BITS = [
  0x7fc00000, 0xffc00000, 0x7f800001, 0xff812345, 0x7f800000, 0xff800000, 0, 0x80000000, 0x3f800000, 0x00000001, 0xc1200000,
];
const F64_TOPS = [
  0x7ff80000, 0xfff80000, 0x7ff00001, 0xfff12345, 0x7ff00000, 0xfff00000, 0, 0x80000000, 0x3ff00000, 0x00000001, 0xc0240000,
];

/** Breakpoints hold integers only. */
const globalsOf = (still: boolean): readonly number[] =>
  still ? GLOBALS.map((type) => (type === F32 ? I32 : type === F64 ? I64 : type)) : GLOBALS;

class Body {
  readonly out = new Writer();
  readonly locals: number[];
  readonly random: Random;
  readonly index: number;
  /** Loop counters sit past the locals that statements may write. */
  readonly counters: number;
  loops = 0;
  labels: number[][] = [];
  readonly globals: readonly number[];
  /** Tables stay as they are. */
  readonly still: boolean;

  constructor(random: Random, index: number, params: readonly number[], still: boolean) {
    this.still = still;
    this.globals = globalsOf(still);
    this.random = random;
    this.index = index;
    const more = Array.from({ length: random.between(2, 8) }, () => random.pick(VALUE_TYPES));
    this.counters = params.length + more.length;
    this.locals = [...params, ...more, I32, I32, I32, I32];
  }

  op(code: number, ...immediates: number[]): void {
    this.out.byte(code);
    for (const immediate of immediates) this.out.u32(immediate);
  }
  i32(value: number): void {
    this.out.byte(0x41);
    this.out.signed(value | 0);
  }

  constant(type: number): void {
    const { out, random } = this;
    const u32 = (value: number): void => {
      for (let i = 0; i < 4; i++) out.byte((value >>> (8 * i)) & 255);
    };
    if (type === I32) return this.i32(random.between(-0x80000000, 0x7fffffff));
    if (type === I64) {
      out.byte(0x42);
      return out.signed(random.between(-0x80000000, 0x7fffffff));
    }
    if (type === F32) {
      out.byte(0x43);
      return u32(random.pick(F32_BITS));
    }
    if (type === F64) {
      out.byte(0x44);
      u32(random.between(0, 0x7fffffff));
      return u32(random.pick(F64_TOPS));
    }
    this.op(0xfd, 12);
    for (let i = 0; i < 2; i++) {
      u32(random.pick(F32_BITS));
      u32(random.pick(F64_TOPS));
    }
  }

  operation({ operation, prefix, code }: Coded, depth: number): void {
    const { random, out } = this;
    const trapping = /i(32|64)\.(div|rem|trunc_f)/.test(operation.name);
    if (trapping && operation.params.length === 1 && !random.chance(0.02)) return this.constant(operation.result);
    for (const [i, type] of operation.params.entries()) {
      this.value(type, depth - 1);
      if (trapping && i === 1 && !random.chance(0.02)) {
        this.constant(type);
        this.op(type === I32 ? 0x72 : 0x84); // or, so that hardly any divisor is zero
        if (type === I32) this.i32(1);
        else this.op(0x42, 1);
        this.op(type === I32 ? 0x72 : 0x84);
      }
      const address = i === 0 && (operation.immediate === IMMEDIATE.memory || operation.immediate === IMMEDIATE.memoryLane);
      if (address && !random.chance(0.02)) {
        this.i32(0xfff8);
        this.op(0x71); // i32.and
      }
    }
    if (prefix < 0) this.op(code);
    else this.op(prefix, code);
    switch (operation.immediate) {
      case IMMEDIATE.none:
        return;
      case IMMEDIATE.memory:
      case IMMEDIATE.memoryLane:
        this.out.u32(random.between(0, Math.log2(widthOf(operation.name))));
        this.out.u32(random.between(0, 64));
        if (operation.immediate === IMMEDIATE.memoryLane) out.byte(random.between(0, lanesOf(operation.name) - 1));
        return;
      case IMMEDIATE.lane:
        out.byte(random.between(0, lanesOf(operation.name) - 1));
        return;
      case IMMEDIATE.bytes16:
        for (let i = 0; i < 16; i++) out.byte(random.between(0, 31));
    }
  }

  value(type: number, depth: number): void {
    const { random } = this;
    const own = this.locals.flatMap((each, i) => (each === type ? [i] : []));
    if (depth <= 0 || random.chance(0.15)) {
      if (own.length > 0 && random.chance(0.7)) return this.op(0x20, random.pick(own));
      return this.constant(type);
    }
    const roll = random.between(0, 99);
    if (roll < 4 && this.globals.includes(type)) return this.op(0x23, this.globals.indexOf(type));
    if (roll < 8) {
      this.value(type, depth - 1);
      this.value(type, depth - 1);
      this.value(I32, depth - 1);
      return this.op(0x1b);
    }
    if (roll < 12) {
      this.value(I32, depth - 1);
      this.op(0x04);
      this.out.signed(type - 128);
      this.labels.push([type]);
      this.value(type, depth - 1);
      this.op(0x05);
      this.value(type, depth - 1);
      this.labels.pop();
      return this.op(0x0b);
    }
    if (roll < 15) {
      this.op(0x02);
      this.out.signed(type - 128);
      this.labels.push([type]);
      this.value(type, depth - 1);
      this.value(I32, depth - 1);
      this.op(0x0d, 0);
      this.labels.pop();
      return this.op(0x0b);
    }
    if (roll < 20 && own.length > 0) {
      this.value(type, depth - 1);
      const writable = own.filter((i) => i < this.counters);
      if (writable.length > 0) this.op(0x22, random.pick(writable));
      return;
    }
    if (roll < 24 && this.index + 1 < FUNCTIONS && type !== V128) return this.call(type, depth);
    if (type === I32 && roll < 26) {
      this.i32(random.between(0, 2));
      return this.op(0x40, 0);
    }
    if (type === I32 && roll < 28) {
      this.op(0x23, 0);
      this.op(0xd2, random.between(1, FUNCTIONS));
      this.op(0xd1); // ref.is_null
      return this.op(0x6a);
    }
    if (type === I32 && roll < 29) return this.op(0x3f, 0);
    if (type === I32 && roll < 30) return this.op(0xfc, 16, 0); // table.size
    return this.operation(random.pick(BY_RESULT.get(type)!), depth);
  }

  /** Calls a later function for two values and keeps the one of the wanted type; every function returns (f64, i64). */
  call(type: number, depth: number): void {
    const { random } = this;
    this.value(F32, depth - 1);
    this.value(I64, depth - 1);
    if (random.chance(0.3)) {
      this.i32(random.chance(0.05) ? TABLE_SIZE + 3 : random.between(this.index + 1, FUNCTIONS - 1));
      this.op(0x11, 2, 0);
    } else this.op(0x10, 1 + random.between(this.index + 1, FUNCTIONS - 1));
    if (type === I64) {
      const local = this.locals.findIndex((each, i) => each === I64 && i < this.counters);
      if (local >= 0) {
        this.op(0x21, local);
        this.op(0x1a);
        return this.op(0x20, local);
      }
      this.op(0x1a);
      return this.op(0xb0);
    }
    this.op(0x1a);
    if (type === F32) this.op(0xb6);
    if (type === I32) this.op(0xfc, 2);
  }

  statement(depth: number): void {
    const { random } = this;
    const roll = random.between(0, 99);
    if (roll < 30) {
      const local = random.between(0, this.counters - 1);
      this.value(this.locals[local]!, depth);
      return this.op(0x21, local);
    }
    if (roll < 55) return this.operation(random.pick(BY_RESULT.get(0)!), depth);
    if (roll < 65) {
      const global = random.between(0, this.globals.length - 1);
      this.value(this.globals[global]!, depth);
      return this.op(0x24, global);
    }
    if (roll < 75) {
      this.value(I32, depth - 1);
      this.op(0x04);
      this.out.signed(-64);
      this.labels.push([]);
      this.statements(depth - 1);
      if (random.chance(0.5)) {
        this.op(0x05);
        this.statements(depth - 1);
      }
      this.labels.pop();
      return this.op(0x0b);
    }
    if (roll < 85 && this.loops < 4 && depth > 1) return this.loop(depth);
    if (roll < 89) {
      for (let i = 0; i < 2; i++) {
        this.value(I32, depth - 1);
        this.i32(0x7fff);
        this.op(0x71);
      }
      this.i32(random.between(0, 5000));
      return random.chance(0.5) ? this.op(0xfc, 10, 0, 0) : this.op(0xfc, 11, 0);
    }
    if (roll < 93 && this.still) return;
    if (roll < 91) {
      this.i32(random.between(0, TABLE_SIZE));
      this.op(0xd2, random.between(1, FUNCTIONS));
      if (random.chance(0.7)) return this.op(0x26, 0);
      this.i32(random.between(0, 3));
      return this.op(0xfc, 17, 0);
    }
    if (roll < 93) {
      this.op(0xd0, FUNCREF);
      this.i32(random.between(0, 3));
      this.op(0xfc, 15, 0);
      return this.op(0x1a);
    }
    if (roll < 96 && this.labels.length > 0) {
      const targets = this.labels.flatMap((label, i) => (label.length === 0 ? [this.labels.length - 1 - i] : []));
      if (targets.length === 0) return;
      this.value(I32, depth - 1);
      if (random.chance(0.6)) return this.op(0x0d, random.pick(targets));
      this.op(0x02);
      this.out.signed(-64);
      this.value(I32, depth - 1);
      this.op(0x0e, 1, 0, 1 + random.pick(targets));
      this.op(0x0b);
      return this.op(0x1a);
    }
    if (roll < 98) {
      this.value(F64, depth - 1);
      this.value(I64, depth - 1);
      this.value(I32, depth - 1);
      this.op(0x04);
      this.out.signed(1); // (f64, i64) → (f64, i64), by its type's index
      this.op(0x05);
      this.op(0x0b);
      this.op(0x1a);
      return this.op(0x1a);
    }
    this.value(random.pick(VALUE_TYPES), depth);
    this.op(0x1a);
  }

  loop(depth: number): void {
    const counter = this.counters + this.loops++;
    this.i32(this.random.between(1, LOOP_ROUNDS));
    this.op(0x21, counter);
    this.op(0x03);
    this.out.signed(-64);
    this.labels.push([-1]); // not a target of the random branches: its counter must go down
    this.statements(depth - 1);
    this.op(0x20, counter);
    this.i32(1);
    this.op(0x6b);
    this.op(0x22, counter);
    this.op(0x0d, 0);
    this.labels.pop();
    this.op(0x0b);
  }

  statements(depth: number): void {
    for (let left = this.random.between(2, 7); left > 0; left--) this.statement(depth);
  }

  write(into: Writer, end: () => void, params: number): void {
    end();
    this.op(0x0b);
    const head = new Writer();
    const own = this.locals.slice(params);
    head.u32(own.length);
    for (const type of own) {
      head.u32(1);
      head.byte(type);
    }
    into.u32(head.length + this.out.length);
    into.copy(head.view());
    into.copy(this.out.view());
  }
}

function section(out: Writer, id: number, fill: (writer: Writer) => void): void {
  const content = new Writer();
  fill(content);
  out.byte(id);
  out.u32(content.length);
  out.copy(content.view());
}

/** `still`: no float globals and no change of tables, so that a build with breakpoints can be made.
 * Types: 0 = [] → [], 1 = (f64 i64) → (f64 i64) for blocks, 2 = (f32 i64) → (f64 i64) for functions. Function 0 is `_start`. */
export function generateModule(seed: number, still = false): Uint8Array {
  const random = new Random(seed);
  const globals = globalsOf(still);
  const out = new Writer();
  for (const byte of [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0]) out.byte(byte);
  section(out, 1, (w) => {
    w.u32(3);
    for (const [params, results] of [
      [[], []],
      [
        [F64, I64],
        [F64, I64],
      ],
      [
        [F32, I64],
        [F64, I64],
      ],
    ] as const) {
      w.byte(0x60);
      for (const types of [params, results]) {
        w.u32(types.length);
        for (const type of types) w.byte(type);
      }
    }
  });
  section(out, 3, (w) => {
    w.u32(FUNCTIONS + 1);
    w.u32(0);
    for (let i = 0; i < FUNCTIONS; i++) w.u32(2);
  });
  section(out, 4, (w) => {
    for (const value of [1, FUNCREF, 1, TABLE_SIZE, 64]) w.u32(value);
  });
  section(out, 5, (w) => {
    for (const value of [1, 1, 2, 40]) w.u32(value);
  });
  section(out, 6, (w) => {
    w.u32(globals.length);
    for (const type of globals) {
      w.byte(type);
      w.byte(1);
      const init = new Body(random, 0, [], still);
      init.constant(type);
      w.copy(init.out.view());
      w.byte(0x0b);
    }
  });
  section(out, 7, (w) => {
    w.u32(2);
    w.name("_start");
    w.u32(0);
    w.u32(0);
    w.name("memory");
    w.u32(2);
    w.u32(0);
  });
  section(out, 9, (w) => {
    w.u32(2);
    w.u32(0);
    for (const byte of [0x41, 0x00, 0x0b]) w.byte(byte);
    w.u32(FUNCTIONS);
    for (let i = 0; i < FUNCTIONS; i++) w.u32(1 + i);
    w.u32(3); // declared, so that ref.func may name them
    w.byte(0);
    w.u32(FUNCTIONS);
    for (let i = 0; i < FUNCTIONS; i++) w.u32(1 + i);
  });
  section(out, 10, (w) => {
    w.u32(FUNCTIONS + 1);
    const start = new Body(random, -1, [], still);
    for (let i = 0; i < FUNCTIONS; i++) {
      start.statements(4);
      start.value(F32, 2);
      start.value(I64, 2);
      start.op(0x10, 1 + i);
      start.op(0x24, 1);
      if (still) start.op(0xbd);
      start.op(0x24, 3);
    }
    start.write(w, () => storeGlobals(start), 0);
    for (let i = 0; i < FUNCTIONS; i++) {
      const body = new Body(random, i, [F32, I64], still);
      body.statements(4);
      body.write(
        w,
        () => {
          body.value(F64, 3);
          body.value(I64, 3);
        },
        2,
      );
    }
  });
  section(out, 11, (w) => {
    w.u32(1);
    w.u32(0);
    for (const byte of [0x41, 0x00, 0x0b]) w.byte(byte);
    w.u32(4096);
    for (let i = 0; i < 1024; i++) {
      const bits = random.pick(random.chance(0.5) ? F32_BITS : F64_TOPS);
      for (let at = 0; at < 4; at++) w.byte((bits >>> (8 * at)) & 255);
    }
  });
  return out.view().slice();
}

/** What the globals hold goes to memory, where the hash sees it. */
function storeGlobals(body: Body): void {
  for (const [i, type] of body.globals.entries()) {
    body.i32(65_536 + 16 * i);
    body.op(0x23, i);
    body.op(type === I32 ? 0x36 : type === I64 ? 0x37 : type === F32 ? 0x38 : 0x39, 0, 0);
  }
}
