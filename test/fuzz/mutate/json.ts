/** JSON bent as the tree that it is: values exchanged, left out, added, made extreme or nested; then now and then as the text that it is. */
import type { Random } from "../../../packages/testkit/src/random.ts";
import { bytesOf, textOf } from "../target.ts";
import { bentBytes } from "./bytes.ts";
import { bentText } from "./text.ts";

export type Tree = string | number | boolean | null | Raw | Tree[] | { [key: string]: Tree };

/** Text that stands in JSON as it is: numbers that no program writes. */
export class Raw {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

const EXTREMES: readonly Tree[] = [
  ...[null, true, false, "", 0, 1, -1, 2 ** 31, 2 ** 32, 2 ** 53 - 1, 2 ** 53, 1.5, {}, [], [[]], "0", "-1", "\0", "\uD800", "\uDFFFx"],
  ...["\u202E", "é", "e\u0301", "😀", "__proto__", "constructor", "toString", "../..", "/", "a".repeat(5_000), "0".repeat(64)],
  ...["ff".repeat(32), "-0", "1e9", "0x10", "9999999999999999999", "4611686018427387905", "\n", "a b", "%00", "https://", "http://["],
  ...[new Raw("-0"), new Raw("1e400"), new Raw("-1e400"), new Raw("0.1e-400"), new Raw("1E2"), new Raw("9".repeat(400))],
];
const KEYS = ["__proto__", "constructor", "toString", "hasOwnProperty", "then", "toJSON", "length", "", "\uD800", "0", "t", "kind"];
const DEPTHS = [2, 50, 1_000, 5_000] as const;

const isList = (tree: Tree): tree is Tree[] => Array.isArray(tree);
const isMap = (tree: Tree): tree is { [key: string]: Tree } =>
  typeof tree === "object" && tree !== null && !isList(tree) && !(tree instanceof Raw);

function setKey(map: { [key: string]: Tree }, key: string, value: Tree): void {
  Object.defineProperty(map, key, { value, enumerable: true, configurable: true, writable: true });
}

/** A place in a tree. */
class Slot {
  readonly value: Tree;
  readonly #tree: Tree[] | { [key: string]: Tree };
  readonly #key: number | string;

  constructor(tree: Tree[] | { [key: string]: Tree }, key: number | string, value: Tree) {
    [this.#tree, this.#key, this.value] = [tree, key, value];
  }

  set(value: Tree | undefined): void {
    const [tree, key] = [this.#tree, this.#key];
    if (!Array.isArray(tree)) void (value === undefined ? delete tree[key] : setKey(tree, String(key), value));
    else if (value === undefined) tree.splice(Number(key), 1);
    else tree[Number(key)] = value;
  }
}

function slotsOf(tree: Tree, slots: Slot[] = []): Slot[] {
  if (isList(tree))
    for (let i = 0; i < tree.length; i++) {
      const value = tree[i] ?? null;
      slots.push(new Slot(tree, i, value));
      if (typeof value === "object") slotsOf(value, slots);
    }
  else if (isMap(tree))
    for (const key of Object.keys(tree)) {
      const value = tree[key] ?? null;
      slots.push(new Slot(tree, key, value));
      if (typeof value === "object") slotsOf(value, slots);
    }
  return slots;
}

/** What is no tree is copied as it is: "0" and a text that JSON cannot write stay what they are. */
const copied = (tree: Tree): Tree => (typeof tree !== "object" || tree === null || tree instanceof Raw ? tree : parsed(written(tree)));

/** As JSON writes it, but for Raw; keys in the order in which they stand. */
export function written(tree: Tree): string {
  if (tree instanceof Raw) return tree.text;
  // texts are put together by +, which copies none: what is nested deeply would be copied once for each level
  let text = "";
  if (isList(tree)) {
    for (const value of tree) text += `${text === "" ? "" : ","}${written(value)}`;
    return `[${text}]`;
  }
  if (isMap(tree)) {
    for (const key of Object.keys(tree)) text += `${text === "" ? "" : ","}${JSON.stringify(key)}:${written(tree[key] ?? null)}`;
    return `{${text}}`;
  }
  return JSON.stringify(tree);
}

function parsed(text: string): Tree {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Each time another one: what one input changes must not stand in the next. */
const extreme = (random: Random): Tree => copied(random.pick(EXTREMES));

function bentValue(value: Tree, random: Random): Tree {
  if (typeof value === "string" && random.chance(0.6)) return bentText(value, random);
  if (typeof value === "number" && random.chance(0.5))
    return random.pick([value + 1, value - 1, -value, value * 2, value + 0.5, value * 1_000_000, new Raw(`${value}.0`), new Raw("-0")]);
  return extreme(random);
}

function nested(value: Tree, depth: number, random: Random): Raw {
  const [open, close] = random.chance(0.5) ? ["[", "]"] : ['{"a":', "}"];
  return new Raw(open.repeat(depth) + written(value) + close.repeat(depth));
}

/** One change of a tree. `others`: trees from which parts may come. */
export function bendTree(tree: Tree, random: Random, others: readonly Tree[]): Tree {
  const slots = slotsOf(tree);
  if (slots.length === 0) return random.chance(0.5) ? extreme(random) : tree;
  const slot = random.pick(slots);
  switch (random.between(0, 9)) {
    case 0:
      slot.set(undefined);
      break;
    case 1:
      slot.set(extreme(random));
      break;
    case 2:
      slot.set(copied(random.pick(slots).value));
      break;
    case 3: {
      const from = slotsOf(random.pick(others));
      if (from.length > 0) slot.set(copied(random.pick(from).value));
      break;
    }
    case 4:
      if (isMap(slot.value)) setKey(slot.value, random.pick(KEYS), extreme(random));
      else if (isList(slot.value)) slot.value.push(slot.value[0] === undefined ? extreme(random) : copied(slot.value[0]));
      else slot.set(bentValue(slot.value, random));
      break;
    case 5:
      if (random.chance(0.02)) slot.set(nested(slot.value, random.pick(DEPTHS), random));
      else slot.set([slot.value]);
      break;
    default:
      slot.set(bentValue(slot.value, random));
  }
  return tree;
}

const treeOf = (bytes: Uint8Array): Tree => parsed(textOf(bytes));

function bentTree(input: Uint8Array, random: Random, others: readonly Uint8Array[]): Uint8Array {
  try {
    let tree = treeOf(input);
    const from = [treeOf(random.pick(others))];
    for (let left = random.between(1, 3); left > 0; left--) tree = bendTree(tree, random, from);
    return bytesOf(written(tree));
  } catch (error) {
    if (error instanceof RangeError) return input; // a copy of what is nested already is deeper than this program's own stack
    throw error;
  }
}

export function bentJson(input: Uint8Array, random: Random, others: readonly Uint8Array[]): Uint8Array {
  const bytes = bentTree(input, random, others);
  return random.chance(0.1) ? bentBytes(bytes, random, others) : bytes;
}
