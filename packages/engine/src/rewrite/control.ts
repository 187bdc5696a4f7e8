/**
 * Blocks and branches. Fuel is brought up to date before each of them, and what a label carries is canonical at it. Code that cannot be
 * reached (after br, return, unreachable, up to the next end or else) is left out.
 */
import { assertWithin } from "./module-limits.ts";
import type { FunctionType } from "./module.ts";
import { OP } from "./op.ts";
import { skipDead } from "./skip.ts";
import type { Walk } from "./walk.ts";

const NO_VALUES: FunctionType = { params: [], results: [] };
/** Of blocks that take nothing and give one value, by its type. */
const ONE_RESULT: readonly FunctionType[] = Array.from({ length: 128 }, (_, type) => ({ params: [], results: [type] }));

function blockType({ reader, module }: Walk): FunctionType {
  const type = reader.s33();
  if (type === -64) return NO_VALUES;
  return type < 0 ? ONE_RESULT[type + 128]! : module.types[type]!;
}

/** Of block, loop and if. */
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
  const height = stack.height - params.length;
  assertWithin("blocks inside each other", walk.labels.length, walk.reader.at);
  walk.keptOver += out.locals.length + height;
  assertWithin("values to keep over the blocks of one function", walk.keptOver, walk.reader.at);
  walk.labels.push({ kind: opcode === OP.loop ? "loop" : opcode === OP.if ? "if" : "block", height, params, results, reached: false });
  walk.pauses?.openBlock(height);
  if (opcode === OP.loop) {
    // a build with breakpoints has it beside its own
    if (!walk.pauses) out.checkLoop();
    out.pending = 1;
  }
}

/** `live`: what stands before it can run to it. */
export function elseOfBlock(walk: Walk, live: boolean): void {
  const { out, stack } = walk;
  const label = walk.labels.at(-1)!;
  if (live) {
    walk.canonical(label.results.length);
    out.charge();
    label.reached = true;
  }
  out.op(OP.else);
  out.endRun();
  label.kind = "else";
  stack.cutTo(label.height);
  for (const type of label.params) stack.push(type);
  walk.pauses?.otherArm();
  out.pending = 0;
}

/** `live`: what stands before it can run to it. */
export function endBlock(walk: Walk, live: boolean): void {
  const { out, stack } = walk;
  const label = walk.labels.pop()!;
  const joins = label.reached || label.kind === "if" || label.kind === "else";
  if (live) {
    if (joins || walk.labels.length === 0) walk.canonical(label.results.length);
    if (joins) out.charge();
  } else out.pending = 0;
  if (joins || !live) out.endRun();
  const carried = live && !joins ? stack.dirty.slice(label.height, stack.height) : null;
  stack.cutTo(label.height);
  for (const [i, type] of label.results.entries()) stack.push(type, carried?.[i] ?? 0);
  out.op(OP.end);
  walk.pauses?.closeBlock(label.results.length);
  if (label.kind === "loop" || (label.reached && walk.loopEnded)) out.noteFuel();
  walk.loopEnded = label.kind === "loop";
}

export function unreachable(walk: Walk): void {
  walk.out.charge();
  walk.out.op(OP.unreachable);
  leaveOutDead(walk);
}

/** Goes on at the `end` or `else` up to which nothing runs. */
export function leaveOutDead(walk: Walk): void {
  walk.stack.cutTo(walk.labels.at(-1)!.height);
  walk.out.pending = 0;
  walk.out.endRun();
  if (skipDead(walk.reader) === "end") endBlock(walk, false);
  else elseOfBlock(walk, false);
}

/** The types that a branch to the label carries. */
function carriedTo({ labels }: Walk, depth: number): readonly number[] {
  const label = labels[labels.length - 1 - depth]!;
  if (label.kind === "loop") return label.params;
  label.reached = true;
  return label.results;
}

export function branch(walk: Walk, depth: number): void {
  walk.out.pending++;
  walk.canonical(carriedTo(walk, depth).length);
  walk.out.charge();
  walk.out.op(OP.br, walk.pauses?.depth(depth) ?? depth);
  leaveOutDead(walk);
}

export function branchIf(walk: Walk): void {
  const depth = walk.reader.u32();
  walk.out.pending++;
  walk.canonical(carriedTo(walk, depth).length, 1);
  walk.out.charge();
  walk.out.endRun();
  walk.stack.pop();
  walk.out.op(OP.brIf, walk.pauses?.depth(depth) ?? depth);
}

export function branchTable(walk: Walk): void {
  const { reader, out, pauses } = walk;
  const at = reader.at;
  let carried: readonly number[] = [];
  const depths: number[] = [];
  for (let left = reader.u32() + 1; left > 0; left--) {
    const depth = reader.u32();
    carried = carriedTo(walk, depth);
    if (pauses) depths.push(pauses.depth(depth));
  }
  out.pending++;
  walk.canonical(carried.length, 1);
  out.charge();
  out.op(OP.brTable);
  if (pauses) {
    out.body.u32(depths.length - 1);
    for (const depth of depths) out.body.u32(depth);
  } else walk.copy(at);
  leaveOutDead(walk);
}
