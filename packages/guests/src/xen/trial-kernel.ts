/**
 * The smallest kernel that Xen takes, to try domains with: an ELF file with the notes of both kinds of domains
 * (xen/include/public/elfnote.h) and a page of instructions. Pure.
 */

const ENTRY_OFFSET = 0x1000;
const PHYSICAL = 0x10_0000;
const VIRTUAL_BASE = 0xffff_ffff_8000_0000n;
const VIRTUAL = VIRTUAL_BASE + BigInt(PHYSICAL);
export const TRIAL_MEMORY_MIB = 16;

const NOTE = { entry: 1, virtualBase: 3, paddrOffset: 4, version: 5, guest: 6, loader: 8, pae: 9, entry32: 18 } as const;
const HEADER_BYTES = 64;
const SEGMENT_BYTES = 56;
const LOAD = 1;
const NOTES = 4;

const padded = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);

function note(type: number, value: Buffer): Buffer {
  const head = Buffer.alloc(12);
  head.writeUInt32LE(4, 0);
  head.writeUInt32LE(value.length, 4);
  head.writeUInt32LE(type, 8);
  return Buffer.concat([head, Buffer.from("Xen\0"), padded(value)]);
}

const text = (value: string): Buffer => Buffer.from(`${value}\0`);
function quad(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}

interface Segment {
  type: number;
  offset: number;
  virtual: bigint;
  physical: number;
  bytes: number;
}

function segment({ type, offset, virtual, physical, bytes }: Segment): Buffer {
  const head = Buffer.alloc(SEGMENT_BYTES);
  head.writeUInt32LE(type, 0);
  head.writeUInt32LE(7, 4); // read, write, execute
  head.writeBigUInt64LE(BigInt(offset), 8);
  head.writeBigUInt64LE(virtual, 16);
  head.writeBigUInt64LE(BigInt(physical), 24);
  head.writeBigUInt64LE(BigInt(bytes), 32);
  head.writeBigUInt64LE(BigInt(bytes), 40);
  head.writeBigUInt64LE(BigInt(type === LOAD ? ENTRY_OFFSET : 4), 48);
  return head;
}

/** Its one instruction is one that no processor has (ud2), which ends it. */
export const trialKernel = (): Buffer => smallKernel(Buffer.from("\x0f\x0b", "latin1"));

/** Throws a RangeError where the instructions take more than a page. */
export function smallKernel(instructions: Buffer): Buffer {
  if (instructions.length > ENTRY_OFFSET)
    throw new RangeError(`${instructions.length} bytes of instructions: a page (${ENTRY_OFFSET}) is loaded`);
  const entry32 = Buffer.alloc(4);
  entry32.writeUInt32LE(PHYSICAL);
  const notes = Buffer.concat([
    note(NOTE.guest, text("xeno-trial")),
    note(NOTE.loader, text("generic")),
    note(NOTE.version, text("xen-3.0")),
    note(NOTE.pae, text("yes")),
    note(NOTE.virtualBase, quad(VIRTUAL_BASE)),
    note(NOTE.paddrOffset, quad(0n)),
    note(NOTE.entry, quad(VIRTUAL)),
    note(NOTE.entry32, entry32),
  ]);
  const header = Buffer.alloc(HEADER_BYTES);
  header.write("\x7fELF\x02\x01\x01", "latin1"); // 64 bits, little-endian
  header.writeUInt16LE(2, 16); // a program
  header.writeUInt16LE(62, 18); // x86-64
  header.writeUInt32LE(1, 20);
  header.writeBigUInt64LE(VIRTUAL, 24);
  header.writeBigUInt64LE(BigInt(HEADER_BYTES), 32);
  header.writeUInt16LE(HEADER_BYTES, 52);
  header.writeUInt16LE(SEGMENT_BYTES, 54);
  header.writeUInt16LE(2, 56);
  const at = HEADER_BYTES + 2 * SEGMENT_BYTES;
  const head = Buffer.concat([
    header,
    segment({ type: LOAD, offset: ENTRY_OFFSET, virtual: VIRTUAL, physical: PHYSICAL, bytes: ENTRY_OFFSET }),
    segment({ type: NOTES, offset: at, virtual: 0n, physical: 0, bytes: notes.length }),
    notes,
  ]);
  const code = Buffer.alloc(ENTRY_OFFSET);
  instructions.copy(code);
  return Buffer.concat([head, Buffer.alloc(ENTRY_OFFSET - head.length), code]);
}
