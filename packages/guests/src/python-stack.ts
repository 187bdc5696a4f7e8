/**
 * Room for calls within calls in Python. As published it keeps 512 KiB for the part of C's stack that lies in memory, of which a Python
 * function that C calls takes 8, and C's own count of nested calls (500) ends later: 65 of them (`functools.lru_cache`, `__repr__`,
 * `sorted(key=…)`) were a trap, where CPython raises RecursionError. Here the stack is behind everything else and large enough for
 * the count, and the count is what CPython has elsewhere. What its compiler and parser count follows from that.
 * Who controls the bytes: the pinned package; a test reads it.
 */

const STACK_BYTES = 8 * 1024 * 1024;
const PAGE_BYTES = 65_536;
const HEADER_BYTES = 8;
const SECTION = { memory: 5, global: 6 } as const;

/** `tstate->c_recursion_remaining = 500` where a thread's state is made, and the same with 1500. */
const COUNT = [0x20, 0x00, 0x28, 0x02, 0x0c, 0x41, 0xf4, 0x03, 0x36, 0x02, 0x18] as const;
const COUNT_AT = COUNT.indexOf(0xf4);
const MORE = [0xdc, 0x0b] as const;
/** One memory without a maximum; the first global: an i32 that changes, from a constant on. */
const MEMORY = [1, 0] as const;
const STACK_POINTER = [0x7f, 1, 0x41] as const;

const otherModule = (what: string): Error => new Error(`it is not the Python that this release knows: ${what}`);

/** An unsigned or signed number's bytes, from `at` on: where it ends. */
function endOfNumber(bytes: Uint8Array, at: number): number {
  while (bytes[at]! >= 0x80) at++;
  return at + 1;
}

function unsigned(bytes: Uint8Array, at: number): number {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    value += (bytes[at]! & 0x7f) * 2 ** shift;
    if (bytes[at++]! < 0x80) return value;
  }
}

/** The value in as many bytes as are asked for; a signed reader reads the same where the sixth bit of the last is clear. */
function numberOf(value: number, length: number): number[] {
  return Array.from({ length }, (_, i) => ((value >>> (7 * i)) & 0x7f) | (i + 1 < length ? 0x80 : 0));
}

const begins = (bytes: Uint8Array, at: number, with_: readonly number[]): boolean => with_.every((byte, i) => bytes[at + i] === byte);

/** Where each section's content lies, by its number. */
function sectionsOf(bytes: Uint8Array): Map<number, { start: number; content: number; end: number }> {
  const sections = new Map<number, { start: number; content: number; end: number }>();
  for (let start = HEADER_BYTES; start < bytes.length;) {
    const content = endOfNumber(bytes, start + 1);
    const end = content + unsigned(bytes, start + 1);
    sections.set(bytes[start]!, { start, content, end });
    start = end;
  }
  return sections;
}

/** The section with `then` in place of its number that begins at `at`. */
function replaced(
  bytes: Uint8Array,
  { start, content, end }: { start: number; content: number; end: number },
  at: number,
  then: number[],
): Buffer {
  const body = Buffer.concat([bytes.subarray(content, at), Buffer.from(then), bytes.subarray(endOfNumber(bytes, at), end)]);
  return Buffer.concat([Buffer.from([bytes[start]!, ...numberOf(body.length, 5)]), body]);
}

/** The published module's bytes; those of the one that runs. Throws where they are another's. */
export function withStack(python: Uint8Array): Uint8Array {
  const bytes = Buffer.from(python);
  const count = bytes.indexOf(Buffer.from(COUNT));
  if (count < 0 || bytes.includes(Buffer.from(COUNT), count + 1)) throw otherModule("its count of nested calls");
  bytes.set(MORE, count + COUNT_AT);
  const sections = sectionsOf(bytes);
  const [memory, global] = [sections.get(SECTION.memory), sections.get(SECTION.global)];
  if (!memory || !begins(bytes, memory.content, MEMORY)) throw otherModule("its memory");
  const pagesAt = memory.content + MEMORY.length;
  const pages = unsigned(bytes, pagesAt) + STACK_BYTES / PAGE_BYTES;
  const first = global && endOfNumber(bytes, global.content);
  if (!global || !first || !begins(bytes, first, STACK_POINTER)) throw otherModule("its stack");
  return Buffer.concat([
    bytes.subarray(0, memory.start),
    replaced(bytes, memory, pagesAt, numberOf(pages, 3)),
    bytes.subarray(memory.end, global.start),
    replaced(bytes, global, first + STACK_POINTER.length, numberOf(pages * PAGE_BYTES, 5)),
    bytes.subarray(global.end),
  ]);
}
