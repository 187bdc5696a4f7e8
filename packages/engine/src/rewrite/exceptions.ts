/**
 * Exceptions, in both encodings: `try`, `catch`, `rethrow`, `delegate` as compilers first wrote them, and `try_table`, `throw_ref` of the
 * core specification 3.0. What is added:
 *
 *   throw tag      fuel = the counter; thrown = the stack that is left, and one
 *   catch …        the counter = fuel, less what the frames that unwound cost; thrown = 0
 *   catch_all …    thrown = 0 ⇒ on with it: what the host threw, to stop the guest, no handler sees
 *
 * Both are globals: the locals of frames that unwind are gone. Traps are caught by no handler (the same, section 4.6.12). A clause of a
 * `try_table` leads to a block around it, where what a handler begins with is written, and from there to the label that it names:
 *
 *   block; block …                 a block for each clause, the first innermost
 *     try_table (catch … 0) … end
 *     br out
 *   end                            what the exception carries
 *   … br label
 */
import { arm, blockType, carriedTo, closeLabel, leaveOutDead, openLabel } from "./control.ts";
import { assertWithin } from "./module-limits.ts";
import type { FunctionType } from "./module.ts";
import { NO_BLOCK_TYPE, OP } from "./op.ts";
import { EXNREF } from "./opcodes.ts";
import { bytesOf } from "./operands.ts";
import { CLAUSE, eachClause } from "./skip.ts";
import type { Walk } from "./walk.ts";

/**
 * Throwing and catching is work of the host's runtime, which makes an object and looks through every frame on the way to the handler: so
 * much fuel as that takes beside plain instructions, for each exception, and for each byte of stack that is unwound as a power of two.
 */
const THROW_FUEL = 1_000;
const FUEL_PER_BYTE_LOG2 = 1;

const tagType = ({ module }: Walk, tag: number): FunctionType => module.types[module.tags[tag]!]!;

/** The exception is the guest's own, and the counter can be found by who catches it. */
function leaves(walk: Walk): void {
  const { out, add, spLocal } = walk;
  out.pending += THROW_FUEL;
  out.charge();
  out.noteFuel();
  out.op(OP.localGet, spLocal);
  out.i32(1);
  out.op(OP.i32Add);
  out.op(OP.globalSet, add.thrown.use());
  // only then does it know its stack
  walk.calls = true;
}

/** At the head of a handler. */
function arrives(walk: Walk): void {
  const { out, add, spLocal } = walk;
  const thrown = add.thrown.use();
  out.op(OP.globalGet, add.fuelGlobal);
  out.op(OP.localGet, spLocal);
  out.i32(1);
  out.op(OP.i32Add);
  out.op(OP.globalGet, thrown);
  out.op(OP.i32Sub);
  out.op(OP.i64ExtendI32U);
  out.i64(FUEL_PER_BYTE_LOG2);
  out.op(OP.i64Shl);
  out.op(OP.i64Sub);
  out.op(OP.localSet, out.fuelLocal);
  out.i32(0);
  out.op(OP.globalSet, thrown);
  walk.calls = true;
}

/** At the head of a handler of everything: `on` goes on with what is not the guest's own. */
function passHostsOn({ out, add }: Walk, on: () => void): void {
  out.op(OP.globalGet, add.thrown.use());
  out.op(OP.i32Eqz);
  out.op(OP.if, NO_BLOCK_TYPE);
  on();
  out.op(OP.end);
}

export function throwTag(walk: Walk): void {
  const tag = walk.reader.u32();
  const { params } = tagType(walk, tag);
  walk.canonical(params.length);
  walk.callBytesMax = Math.max(walk.callBytesMax, bytesOf(params));
  leaves(walk);
  walk.out.op(OP.throw, tag);
  leaveOutDead(walk);
}

export function rethrow(walk: Walk): void {
  const depth = walk.reader.u32();
  leaves(walk);
  walk.out.op(OP.rethrow, walk.depth(depth));
  leaveOutDead(walk);
}

export function throwRef(walk: Walk): void {
  leaves(walk);
  walk.out.op(OP.throwRef);
  leaveOutDead(walk);
}

/** `live`: what stands before it can run to it. Its handler is the innermost label. */
export function catchTag(walk: Walk, live: boolean): void {
  const tag = walk.reader.u32();
  arm(walk, live, "catch", () => walk.out.op(OP.catch, tag), tagType(walk, tag).params);
  holds(walk);
  arrives(walk);
}

export function catchAll(walk: Walk, live: boolean): void {
  arm(walk, live, "catch", () => walk.out.op(OP.catchAll), []);
  holds(walk);
  passHostsOn(walk, () => walk.out.op(OP.rethrow, 1));
  arrives(walk);
}

/** A handler of the first encoding keeps its exception, for `rethrow`, up to its end. */
function holds(walk: Walk): void {
  const held = walk.labels.reduce((count, { kind }) => count + (kind === "catch" ? 1 : 0), 0);
  walk.heldMax = Math.max(walk.heldMax, held);
}

/** Ends the block; its exceptions go to the label of this depth around it. */
export function delegate(walk: Walk, live: boolean): void {
  const depth = walk.reader.u32();
  closeLabel(walk, live, () => walk.out.op(OP.delegate, walk.depth(depth)));
}

interface Clause {
  kind: number;
  tag: number;
  /** Of the label that it leads to, seen from around the block. */
  depth: number;
  values: readonly number[];
}

function clausesOf(walk: Walk): Clause[] {
  const clauses: Clause[] = [];
  eachClause(walk.reader, (kind, tag, depth) => {
    const carried = tag < 0 ? [] : tagType(walk, tag).params;
    const values = kind === CLAUSE.catchRef || kind === CLAUSE.catchAllRef ? [...carried, EXNREF] : carried;
    carriedTo(walk, depth);
    clauses.push({ kind, tag, depth, values });
    assertWithin("blocks inside each other", walk.labels.length + walk.around + clauses.length, walk.reader.at);
  });
  return clauses;
}

/** What the block of a clause begins its way with: everything that is caught comes with its exception, so that the host's can go on. */
const landing = ({ kind, values }: Clause): readonly number[] => (kind === CLAUSE.catchAll ? [EXNREF] : values);

export function tryTable(walk: Walk): void {
  const { out, add } = walk;
  const { params, results } = blockType(walk);
  const clauses = clausesOf(walk);
  walk.canonical(params.length);
  walk.keptOver += (clauses.length + 1) * out.locals.length;
  out.op(OP.block);
  out.body.signed(add.blockType(params, results));
  for (const clause of clauses.toReversed()) {
    out.op(OP.block);
    out.body.signed(add.blockType(params, landing(clause)));
  }
  out.op(OP.tryTable);
  out.body.signed(add.blockType(params, results));
  out.body.u32(clauses.length);
  for (const [i, { kind, tag }] of clauses.entries()) {
    out.body.byte(kind === CLAUSE.catchAll ? CLAUSE.catchAllRef : kind);
    if (tag >= 0) out.body.u32(tag);
    out.body.u32(i);
  }
  openLabel(walk, "try_table", params, results, { around: clauses.length + 1, ended: () => land(walk, clauses) });
}

/** Behind the `end` of a `try_table`. */
function land(walk: Walk, clauses: readonly Clause[]): void {
  const { out } = walk;
  out.op(OP.br, clauses.length);
  for (const [i, clause] of clauses.entries()) {
    out.op(OP.end);
    if (clause.kind >= CLAUSE.catchAll) landAll(walk, clause);
    arrives(walk);
    out.op(OP.br, walk.depth(clause.depth) + clauses.length - i);
  }
  out.op(OP.end);
}

function landAll(walk: Walk, { kind }: Clause): void {
  const { out } = walk;
  const caught = out.local("caught", EXNREF);
  out.op(OP.localSet, caught);
  passHostsOn(walk, () => {
    out.op(OP.localGet, caught);
    out.op(OP.throwRef);
  });
  if (kind === CLAUSE.catchAllRef) out.op(OP.localGet, caught);
}
