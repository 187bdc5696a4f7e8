/**
 * Blocks and branches. Fuel is brought up to date before each of them, and what a label carries is canonical at it. Code that cannot be
 * reached (after br, return, unreachable, up to the next end or else) is left out.
 */
import { assertWithin } from "./module-limits.ts";
import { assertValueType, type FunctionType } from "./module.ts";
import { OP } from "./op.ts";
import { skipDead } from "./skip.ts";
import type { Label, Walk } from "./walk.ts";

const NO_VALUES: FunctionType = { params: [], results: [] };
/** Of blocks that take nothing and give one value, by its type. */
const ONE_RESULT: readonly FunctionType[] = Array.from({ length: 128 }, (_, type) => ({ params: [], results: [type] }));

export function blockType({ reader, module }: Walk): FunctionType {
  const { at } = reader;
  const type = reader.s33();
  if (type === -64) return NO_VALUES;
  if (type >= 0) return module.types[type]!;
  assertValueType(type + 128, at);
  return ONE_RESULT[type + 128]!;
}

const KIND_OF: Readonly<Record<number, Label["kind"]>> = { [OP.block]: "block", [OP.loop]: "loop", [OP.if]: "if", [OP.try]: "try" };

/** Behind the instruction that begins a block. `own`: of a block in blocks that the engine puts around it. */
export function openLabel(
  walk: Walk,
  kind: Label["kind"],
  params: readonly number[],
  results: readonly number[],
  { around, ended }: Pick<Label, "ended"> & { around: number } = { around: 0, ended: null },
): void {
  const { out, stack, labels, reader } = walk;
  const height = stack.height - params.length;
  assertWithin("blocks inside each other", labels.length + walk.around + around, reader.at);
  walk.keptOver += out.locals.length + height;
  assertWithin("values to keep over the blocks of one function", walk.keptOver, reader.at);
  labels.push({ kind, height, params, results, reached: false, outside: walk.around + around, ended });
  walk.pauses?.openBlock(height);
}

/** Of block, loop, if and try. */
export function enterBlock(walk: Walk, opcode: number): void {
  const { out, stack } = walk;
  const { params, results } = blockType(walk);
  if (opcode === OP.if) out.pending++;
  walk.canonical(params.length, opcode === OP.if ? 1 : 0);
  if (opcode !== OP.block) {
    out.charge();
    out.endRun();
  }
  if (opcode === OP.if) stack.pop();
  walk.pauses?.beforeBlock(params.length, opcode === OP.if);
  out.op(opcode);
  out.body.signed(walk.add.blockType(params, results));
  openLabel(walk, KIND_OF[opcode]!, params, results);
  if (opcode === OP.loop) {
    // a build with breakpoints has it beside its own
    if (!walk.pauses) out.checkLoop();
    out.pending = 1;
  }
}

/** Begins another arm of the innermost block, with these values as operands. `live`: what stands before it can run to its end. */
export function arm(walk: Walk, live: boolean, kind: Label["kind"], write: () => void, values: readonly number[]): void {
  const { out, stack } = walk;
  const label = walk.labels.at(-1)!;
  if (live) {
    walk.canonical(label.results.length);
    out.charge();
    label.reached = true;
  }
  write();
  out.endRun();
  label.kind = kind;
  stack.cutTo(label.height);
  for (const type of values) stack.push(type);
  out.pending = 0;
}

/** `live`: what stands before it can run to it. */
export function elseOfBlock(walk: Walk, live: boolean): void {
  arm(walk, live, "else", () => walk.out.op(OP.else), walk.labels.at(-1)!.params);
  walk.pauses?.otherArm();
}

/** Blocks whose end is reached on more than one way, whatever branches to it. */
const JOINING: ReadonlySet<Label["kind"]> = new Set(["if", "else", "catch", "try_table"]);

/** `live`: what stands before it can run to it. */
export function endBlock(walk: Walk, live: boolean): void {
  closeLabel(walk, live, () => walk.out.op(OP.end));
}

/** The same, where what ends the block is written by `write`. */
export function closeLabel(walk: Walk, live: boolean, write: () => void): void {
  const { out, stack } = walk;
  const label = walk.labels.pop()!;
  const joins = label.reached || JOINING.has(label.kind);
  if (live) {
    if (joins || walk.labels.length === 0) walk.canonical(label.results.length);
    if (joins) out.charge();
  } else out.pending = 0;
  if (joins || !live) out.endRun();
  if (label.results.length === 0) stack.cutTo(label.height);
  else {
    const carried = live && !joins ? stack.dirty.slice(label.height, stack.height) : null;
    stack.cutTo(label.height);
    for (const [i, type] of label.results.entries()) stack.push(type, carried?.[i] ?? 0);
  }
  write();
  label.ended?.();
  walk.pauses?.closeBlock(label.results.length);
  if (label.kind === "loop" || (label.reached && walk.loopEnded)) out.noteFuel();
  walk.loopEnded = label.kind === "loop";
}

export function unreachable(walk: Walk): void {
  walk.out.charge();
  walk.out.op(OP.unreachable);
  leaveOutDead(walk);
}

/** Goes on behind the code that nothing runs to: where the block ends, or another arm of it begins. */
export function leaveOutDead(walk: Walk): void {
  walk.stack.cutTo(walk.labels.at(-1)!.height);
  walk.out.pending = 0;
  walk.out.endRun();
  skipDead(walk.reader);
  walk.live = false;
}

/** The types that a branch to the label carries. */
export function carriedTo({ labels }: Walk, depth: number): readonly number[] {
  const label = labels[labels.length - 1 - depth]!;
  if (label.kind === "loop") return label.params;
  label.reached = true;
  return label.results;
}

export function branch(walk: Walk, depth: number): void {
  walk.out.pending++;
  walk.canonical(carriedTo(walk, depth).length);
  walk.out.charge();
  walk.out.op(OP.br, walk.depth(depth));
  leaveOutDead(walk);
}

export function branchIf(walk: Walk): void {
  const depth = walk.reader.u32();
  walk.out.pending++;
  walk.canonical(carriedTo(walk, depth).length, 1);
  walk.out.charge();
  walk.out.endRun();
  walk.stack.pop();
  walk.out.op(OP.brIf, walk.depth(depth));
}

export function branchTable(walk: Walk): void {
  const { reader, out } = walk;
  const at = reader.at;
  const moved = walk.pauses !== null || walk.around > 0;
  let carried: readonly number[] = [];
  const depths: number[] = [];
  for (let left = reader.u32() + 1; left > 0; left--) {
    const depth = reader.u32();
    carried = carriedTo(walk, depth);
    if (moved) depths.push(walk.depth(depth));
  }
  out.pending++;
  walk.canonical(carried.length, 1);
  out.charge();
  out.op(OP.brTable);
  if (moved) {
    out.body.u32(depths.length - 1);
    for (const depth of depths) out.body.u32(depth);
  } else walk.copy(at);
  leaveOutDead(walk);
}
