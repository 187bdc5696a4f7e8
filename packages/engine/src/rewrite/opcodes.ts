/**
 * The opcodes that may run, with their types, what follows them in the byte stream, and what they do to the bits of floats. An opcode
 * that is not in these tables is refused. Source: WebAssembly core specification 2.0, appendix "Index of Instructions".
 */

/** Value types by their byte in the binary format. */
export const I32 = 0x7f;
export const I64 = 0x7e;
export const F32 = 0x7d;
export const F64 = 0x7c;
export const V128 = 0x7b;
export const FUNCREF = 0x70;
export const EXTERNREF = 0x6f;
/** A caught exception, as a value. */
export const EXNREF = 0x69;
export const isFloat = (type: number): boolean => type === F32 || type === F64 || type === V128;

/** What follows the opcode. */
export const IMMEDIATE = { none: 0, memory: 1, lane: 2, memoryLane: 3, bytes16: 4 } as const;
type Immediate = (typeof IMMEDIATE)[keyof typeof IMMEDIATE];

/**
 * What an operation does to floats. NaNs made by arithmetic have bits that V8 does not fix ("dirty"):
 * `none`: no float, or it looks at values and not at bits; `arith`: its result may be such a NaN; `keeps`: moves the bits of its first
 * operand; `sees`: lets the program observe bits, so its operands must be canonical first.
 */
type FloatEffect = "none" | "arith" | "keeps" | "sees";

export interface Operation {
  name: string;
  params: readonly number[];
  /** 0 for none. */
  result: number;
  immediate: Immediate;
  float: FloatEffect;
  /** Lane type (F32 or F64) as which it reads v128 operands, whose NaNs may then be dirty; 0 when it sees their bits. */
  lanesIn: number;
  /** Lane type of a v128 result that may hold dirty NaNs; 0 for others. */
  lanes: number;
  /** Fuel of one execution. */
  cost: number;
  /** It takes and gives nothing else. */
  isOfIntegers: boolean;
}

const TYPE: Record<string, number> = { i: I32, I: I64, f: F32, F: F64, v: V128 };
const DIVISION_COST = 8;
const SQRT_COST = 8;

function costOf(name: string): number {
  if (/\.(div|rem)/.test(name)) return DIVISION_COST;
  return name.endsWith(".sqrt") ? SQRT_COST : 1;
}

function lanesReadBy(name: string, float: FloatEffect): number {
  if (float === "sees") return 0;
  if (/demote_f64x2|trunc_sat_f64x2/.test(name)) return F64;
  if (/promote_low_f32x4|trunc_sat_f32x4/.test(name)) return F32;
  return name.startsWith("f32x4") ? F32 : name.startsWith("f64x2") ? F64 : 0;
}

function operation(name: string, signature: string, immediate: Immediate, float: FloatEffect = "none", lanes = 0): Operation {
  const [params, result] = signature.split(":") as [string, string];
  return {
    name,
    params: [...params].map((letter) => TYPE[letter]!),
    result: TYPE[result] ?? 0,
    immediate,
    float,
    lanesIn: lanesReadBy(name, float),
    lanes,
    cost: costOf(name),
    isOfIntegers: /^[iI]*:[iI]?$/.test(signature),
  };
}

/** Operations with a one-byte opcode and no control flow; holes are handled elsewhere or refused. */
export const PLAIN: (Operation | undefined)[] = [];

function plain(from: number, signature: string, names: string, float: FloatEffect = "none", immediate: Immediate = IMMEDIATE.none): void {
  for (const [i, name] of names.split(" ").entries()) PLAIN[from + i] = operation(name, signature, immediate, float);
}

const M = IMMEDIATE.memory;
plain(0x28, "i:i", "i32.load", "none", M);
plain(0x29, "i:I", "i64.load", "none", M);
plain(0x2a, "i:f", "f32.load", "none", M);
plain(0x2b, "i:F", "f64.load", "none", M);
plain(0x2c, "i:i", "i32.load8_s i32.load8_u i32.load16_s i32.load16_u", "none", M);
plain(0x30, "i:I", "i64.load8_s i64.load8_u i64.load16_s i64.load16_u i64.load32_s i64.load32_u", "none", M);
plain(0x36, "ii:", "i32.store", "none", M);
plain(0x37, "iI:", "i64.store", "none", M);
plain(0x38, "if:", "f32.store", "sees", M);
plain(0x39, "iF:", "f64.store", "sees", M);
plain(0x3a, "ii:", "i32.store8 i32.store16", "none", M);
plain(0x3c, "iI:", "i64.store8 i64.store16 i64.store32", "none", M);
const COMPARE = "eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u";
const FLOAT_COMPARE = "eq ne lt gt le ge";
const BINARY = "add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u rotl rotr";
const prefixed = (prefix: string, names: string): string =>
  names
    .split(" ")
    .map((name) => `${prefix}.${name}`)
    .join(" ");
plain(0x45, "i:i", "i32.eqz");
plain(0x46, "ii:i", prefixed("i32", COMPARE));
plain(0x50, "I:i", "i64.eqz");
plain(0x51, "II:i", prefixed("i64", COMPARE));
plain(0x5b, "ff:i", prefixed("f32", FLOAT_COMPARE));
plain(0x61, "FF:i", prefixed("f64", FLOAT_COMPARE));
plain(0x67, "i:i", prefixed("i32", "clz ctz popcnt"));
plain(0x6a, "ii:i", prefixed("i32", BINARY));
plain(0x79, "I:I", prefixed("i64", "clz ctz popcnt"));
plain(0x7c, "II:I", prefixed("i64", BINARY));
for (const [from, letter, name] of [
  [0x8b, "f", "f32"],
  [0x99, "F", "f64"],
] as const) {
  plain(from, `${letter}:${letter}`, prefixed(name, "abs neg"), "keeps");
  plain(from + 2, `${letter}:${letter}`, prefixed(name, "ceil floor trunc nearest sqrt"), "arith");
  plain(from + 7, `${letter}${letter}:${letter}`, prefixed(name, "add sub mul div min max"), "arith");
  plain(from + 13, `${letter}${letter}:${letter}`, prefixed(name, "copysign"), "sees");
}
plain(0xa7, "I:i", "i32.wrap_i64");
plain(0xa8, "f:i", "i32.trunc_f32_s i32.trunc_f32_u");
plain(0xaa, "F:i", "i32.trunc_f64_s i32.trunc_f64_u");
plain(0xac, "i:I", "i64.extend_i32_s i64.extend_i32_u");
plain(0xae, "f:I", "i64.trunc_f32_s i64.trunc_f32_u");
plain(0xb0, "F:I", "i64.trunc_f64_s i64.trunc_f64_u");
plain(0xb2, "i:f", "f32.convert_i32_s f32.convert_i32_u");
plain(0xb4, "I:f", "f32.convert_i64_s f32.convert_i64_u");
plain(0xb6, "F:f", "f32.demote_f64", "arith");
plain(0xb7, "i:F", "f64.convert_i32_s f64.convert_i32_u");
plain(0xb9, "I:F", "f64.convert_i64_s f64.convert_i64_u");
plain(0xbb, "f:F", "f64.promote_f32", "arith");
plain(0xbc, "f:i", "i32.reinterpret_f32", "sees");
plain(0xbd, "F:I", "i64.reinterpret_f64", "sees");
plain(0xbe, "i:f", "f32.reinterpret_i32");
plain(0xbf, "I:F", "f64.reinterpret_i64");
plain(0xc0, "i:i", "i32.extend8_s i32.extend16_s");
plain(0xc2, "I:I", "i64.extend8_s i64.extend16_s i64.extend32_s");

/** Saturating conversions: 0xfc 0 to 7. */
export const SATURATING: readonly Operation[] = ["f:i", "f:i", "F:i", "F:i", "f:I", "f:I", "F:I", "F:I"].map((signature, i) =>
  operation(
    `${signature.endsWith("i") ? "i32" : "i64"}.trunc_sat_${signature.startsWith("f") ? "f32" : "f64"}_${i % 2 === 0 ? "s" : "u"}`,
    signature,
    IMMEDIATE.none,
  ),
);

interface BulkOperation {
  /** Indexes behind the opcode. */
  immediates: number;
  operands: number;
  /** What its last operand counts, where its work depends on that. */
  counts?: "bytes" | "entries";
  /** Whether it gives an i32. */
  gives?: boolean;
  /** Whether it changes a table or drops a segment. */
  changesTables?: boolean;
}

/**
 * Behind 0xfc: memory.init, data.drop, memory.copy, memory.fill, table.init, elem.drop, table.copy, table.grow, table.size, table.fill.
 */
export const BULK: Readonly<Record<number, BulkOperation>> = {
  8: { immediates: 2, operands: 3, counts: "bytes" },
  9: { immediates: 1, operands: 0, changesTables: true },
  10: { immediates: 2, operands: 3, counts: "bytes" },
  11: { immediates: 1, operands: 3, counts: "bytes" },
  12: { immediates: 2, operands: 3, counts: "entries", changesTables: true },
  13: { immediates: 1, operands: 0, changesTables: true },
  14: { immediates: 2, operands: 3, counts: "entries", changesTables: true },
  15: { immediates: 1, operands: 2, counts: "entries", gives: true, changesTables: true },
  16: { immediates: 1, operands: 0, gives: true },
  17: { immediates: 1, operands: 3, counts: "entries", changesTables: true },
};

/** Operations behind 0xfd. */
export const SIMD: (Operation | undefined)[] = [];

/** Integer and bitwise operations on v128 see bits whatever made them. */
function simd(
  from: number,
  signature: string,
  names: string,
  float: FloatEffect = "sees",
  immediate: Immediate = IMMEDIATE.none,
  lanes = 0,
): void {
  for (const [i, name] of names.split(" ").entries()) SIMD[from + i] = operation(name, signature, immediate, float, lanes);
}

const LANE = IMMEDIATE.lane;
simd(0, "i:v", "v128.load v128.load8x8_s v128.load8x8_u v128.load16x4_s v128.load16x4_u v128.load32x2_s v128.load32x2_u", "none", M);
simd(7, "i:v", "v128.load8_splat v128.load16_splat v128.load32_splat v128.load64_splat", "none", M);
simd(11, "iv:", "v128.store", "sees", M);
simd(12, ":v", "v128.const", "none", IMMEDIATE.bytes16);
simd(13, "vv:v", "i8x16.shuffle", "sees", IMMEDIATE.bytes16);
simd(14, "vv:v", "i8x16.swizzle");
simd(15, "i:v", "i8x16.splat i16x8.splat i32x4.splat", "none");
simd(18, "I:v", "i64x2.splat", "none");
simd(19, "f:v", "f32x4.splat");
simd(20, "F:v", "f64x2.splat");
simd(21, "v:i", "i8x16.extract_lane_s i8x16.extract_lane_u", "sees", LANE);
simd(23, "vi:v", "i8x16.replace_lane", "sees", LANE);
simd(24, "v:i", "i16x8.extract_lane_s i16x8.extract_lane_u", "sees", LANE);
simd(26, "vi:v", "i16x8.replace_lane", "sees", LANE);
simd(27, "v:i", "i32x4.extract_lane", "sees", LANE);
simd(28, "vi:v", "i32x4.replace_lane", "sees", LANE);
simd(29, "v:I", "i64x2.extract_lane", "sees", LANE);
simd(30, "vI:v", "i64x2.replace_lane", "sees", LANE);
simd(31, "v:f", "f32x4.extract_lane", "sees", LANE);
simd(32, "vf:v", "f32x4.replace_lane", "sees", LANE);
simd(33, "v:F", "f64x2.extract_lane", "sees", LANE);
simd(34, "vF:v", "f64x2.replace_lane", "sees", LANE);
simd(35, "vv:v", prefixed("i8x16", COMPARE));
simd(45, "vv:v", prefixed("i16x8", COMPARE));
simd(55, "vv:v", prefixed("i32x4", COMPARE));
simd(65, "vv:v", prefixed("f32x4", FLOAT_COMPARE), "none");
simd(71, "vv:v", prefixed("f64x2", FLOAT_COMPARE), "none");
simd(77, "v:v", "v128.not");
simd(78, "vv:v", "v128.and v128.andnot v128.or v128.xor");
simd(82, "vvv:v", "v128.bitselect");
simd(83, "v:i", "v128.any_true");
simd(84, "iv:v", "v128.load8_lane v128.load16_lane v128.load32_lane v128.load64_lane", "sees", IMMEDIATE.memoryLane);
simd(88, "iv:", "v128.store8_lane v128.store16_lane v128.store32_lane v128.store64_lane", "sees", IMMEDIATE.memoryLane);
simd(92, "i:v", "v128.load32_zero v128.load64_zero", "none", M);
simd(94, "v:v", "f32x4.demote_f64x2_zero", "arith", IMMEDIATE.none, F32);
simd(95, "v:v", "f64x2.promote_low_f32x4", "arith", IMMEDIATE.none, F64);
simd(96, "v:v", "i8x16.abs i8x16.neg i8x16.popcnt");
simd(99, "v:i", "i8x16.all_true i8x16.bitmask");
simd(101, "vv:v", "i8x16.narrow_i16x8_s i8x16.narrow_i16x8_u");
simd(103, "v:v", "f32x4.ceil f32x4.floor f32x4.trunc f32x4.nearest", "arith", IMMEDIATE.none, F32);
simd(107, "vi:v", "i8x16.shl i8x16.shr_s i8x16.shr_u");
simd(110, "vv:v", prefixed("i8x16", "add add_sat_s add_sat_u sub sub_sat_s sub_sat_u"));
simd(116, "v:v", "f64x2.ceil f64x2.floor", "arith", IMMEDIATE.none, F64);
simd(118, "vv:v", prefixed("i8x16", "min_s min_u max_s max_u"));
simd(122, "v:v", "f64x2.trunc", "arith", IMMEDIATE.none, F64);
simd(123, "vv:v", "i8x16.avgr_u");
simd(124, "v:v", "i16x8.extadd_pairwise_i8x16_s i16x8.extadd_pairwise_i8x16_u i32x4.extadd_pairwise_i16x8_s i32x4.extadd_pairwise_i16x8_u");
simd(128, "v:v", "i16x8.abs i16x8.neg");
simd(130, "vv:v", "i16x8.q15mulr_sat_s");
simd(131, "v:i", "i16x8.all_true i16x8.bitmask");
simd(133, "vv:v", "i16x8.narrow_i32x4_s i16x8.narrow_i32x4_u");
simd(135, "v:v", prefixed("i16x8", "extend_low_s extend_high_s extend_low_u extend_high_u"));
simd(139, "vi:v", "i16x8.shl i16x8.shr_s i16x8.shr_u");
simd(142, "vv:v", prefixed("i16x8", "add add_sat_s add_sat_u sub sub_sat_s sub_sat_u"));
simd(148, "v:v", "f64x2.nearest", "arith", IMMEDIATE.none, F64);
simd(149, "vv:v", prefixed("i16x8", "mul min_s min_u max_s max_u"));
simd(155, "vv:v", prefixed("i16x8", "avgr_u extmul_low_s extmul_high_s extmul_low_u extmul_high_u"));
simd(160, "v:v", "i32x4.abs i32x4.neg");
simd(163, "v:i", "i32x4.all_true i32x4.bitmask");
simd(167, "v:v", prefixed("i32x4", "extend_low_s extend_high_s extend_low_u extend_high_u"));
simd(171, "vi:v", "i32x4.shl i32x4.shr_s i32x4.shr_u");
simd(174, "vv:v", "i32x4.add");
simd(177, "vv:v", "i32x4.sub");
simd(181, "vv:v", prefixed("i32x4", "mul min_s min_u max_s max_u dot_i16x8_s"));
simd(188, "vv:v", prefixed("i32x4", "extmul_low_s extmul_high_s extmul_low_u extmul_high_u"));
simd(192, "v:v", "i64x2.abs i64x2.neg");
simd(195, "v:i", "i64x2.all_true i64x2.bitmask");
simd(199, "v:v", prefixed("i64x2", "extend_low_s extend_high_s extend_low_u extend_high_u"));
simd(203, "vi:v", "i64x2.shl i64x2.shr_s i64x2.shr_u");
simd(206, "vv:v", "i64x2.add");
simd(209, "vv:v", "i64x2.sub");
simd(213, "vv:v", prefixed("i64x2", "mul eq ne lt_s gt_s le_s ge_s extmul_low_s extmul_high_s extmul_low_u extmul_high_u"));
for (const [from, lanes, name] of [
  [224, F32, "f32x4"],
  [236, F64, "f64x2"],
] as const) {
  simd(from, "v:v", prefixed(name, "abs neg"), "keeps", IMMEDIATE.none, lanes);
  simd(from + 3, "v:v", `${name}.sqrt`, "arith", IMMEDIATE.none, lanes);
  simd(from + 4, "vv:v", prefixed(name, "add sub mul div min max"), "arith", IMMEDIATE.none, lanes);
  simd(from + 10, "vv:v", prefixed(name, "pmin pmax"));
}
simd(248, "v:v", "i32x4.trunc_sat_f32x4_s i32x4.trunc_sat_f32x4_u", "none");
simd(250, "v:v", "f32x4.convert_i32x4_s f32x4.convert_i32x4_u");
simd(252, "v:v", "i32x4.trunc_sat_f64x2_s_zero i32x4.trunc_sat_f64x2_u_zero", "none");
simd(254, "v:v", "f64x2.convert_low_i32x4_s f64x2.convert_low_i32x4_u");

/** Nothing counts what a stack that is put aside takes of the host. */
export const WITHOUT_SWITCHING = "this engine does not know it; compile coroutines without it, such as with wasm-opt --asyncify";

/** Why an opcode that V8 knows is not allowed, and what avoids it. */
export function refusedOpcode(opcode: number, sub: number): [what: string, advice: string] {
  const hex = (value: number): string => `0x${value.toString(16)}`;
  if (opcode === 0xfe)
    return [`atomic instruction 0xfe ${hex(sub)}`, "threads are not deterministic; compile without -pthread and -matomics"];
  if ((opcode === 0xfd && sub >= 0x120) || (opcode === 0xfc && (sub === 0x30 || sub === 0x31)))
    return [`half-precision instruction ${hex(opcode)} ${hex(sub)}`, "this engine does not know it; compile with -mno-fp16"];
  if (opcode === 0xfc && sub >= 0x13 && sub <= 0x16)
    return [`wide-arithmetic instruction 0xfc ${hex(sub)}`, "this engine does not know it; compile with -mno-wide-arithmetic"];
  if (opcode === 0xfd && sub >= 0x100)
    return [`relaxed SIMD instruction 0xfd ${hex(sub)}`, "its result differs between machines; compile with -mno-relaxed-simd"];
  if (opcode >= 0xe0 && opcode <= 0xe6) return [`stack-switching instruction ${hex(opcode)}`, WITHOUT_SWITCHING];
  if (opcode === 0xfb)
    return [`garbage-collection instruction 0xfb ${hex(sub)}`, "only linear memory is offered; compile for wasm32-wasip1"];
  if (opcode === 0x14 || opcode === 0x15 || (opcode >= 0xd3 && opcode <= 0xd6))
    return [`typed function reference instruction ${hex(opcode)}`, "compile for wasm32-wasip1 without -mgc"];
  return [`instruction ${hex(opcode)}${opcode >= 0xfc ? ` ${hex(sub)}` : ""}`, "this engine does not know it; compile for wasm32-wasip1"];
}
