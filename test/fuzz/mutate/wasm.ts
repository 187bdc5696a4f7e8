/** WebAssembly modules bent by section: whole ones left out, doubled, moved or crossed with another module's; bytes within, lengths made right. */
import type { Random } from "../../../packages/testkit/src/random.ts";
import { bentBytes, bentOnce } from "./bytes.ts";

const MAGIC_BYTES = 8;

interface Section {
  id: number;
  content: Uint8Array;
}

function u32At(bytes: Uint8Array, at: number): { value: number; next: number } | null {
  let value = 0;
  for (let shift = 0; shift < 35; shift += 7) {
    const byte = bytes[at++];
    if (byte === undefined) return null;
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return { value, next: at };
  }
  return null;
}

function sectionsOf(module: Uint8Array): Section[] {
  const found: Section[] = [];
  for (let at = MAGIC_BYTES; at < module.length;) {
    const length = u32At(module, at + 1);
    if (!length) break;
    found.push({ id: module[at] ?? 0, content: module.slice(length.next, length.next + length.value) });
    at = length.next + length.value;
  }
  return found;
}

function u32(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...u32(Math.floor(value / 0x80))];
}

function moduleOf(magic: Uint8Array, sections: readonly Section[]): Uint8Array {
  return new Uint8Array(
    Buffer.concat([magic, ...sections.flatMap(({ id, content }) => [Uint8Array.from([id, ...u32(content.length)]), content])]),
  );
}

export function bentModule(input: Uint8Array, random: Random, others: readonly Uint8Array[]): Uint8Array {
  const sections = sectionsOf(input);
  if (sections.length === 0 || random.chance(0.1)) return bentBytes(input, random, others);
  for (let left = random.between(1, 3); left > 0 && sections.length > 0; left--) {
    const at = random.between(0, sections.length - 1);
    const section = random.pick(sections);
    const foreign = sectionsOf(random.pick(others));
    switch (random.between(0, 9)) {
      case 0:
        sections.splice(at, 1);
        break;
      case 1:
        sections.splice(at, 0, section);
        break;
      case 2: {
        const [moved] = sections.splice(at, 1);
        if (moved) sections.splice(random.between(0, sections.length), 0, moved);
        break;
      }
      case 3: {
        const same = foreign.filter(({ id }) => id === section.id);
        if (same.length > 0) sections[sections.indexOf(section)] = random.pick(same);
        break;
      }
      case 4:
        if (foreign.length > 0) sections.splice(at, 0, random.pick(foreign));
        break;
      default:
        sections[sections.indexOf(section)] = { id: section.id, content: bentOnce(section.content.slice(), random, others).slice() };
    }
  }
  const magic = input.slice(0, MAGIC_BYTES);
  return moduleOf(magic, sections);
}
