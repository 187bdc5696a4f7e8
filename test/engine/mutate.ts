/** Damages a module the way a hostile customer would try: bytes flipped, parts cut, copied, swapped, lengths made huge. */
import type { Random } from "../../packages/testkit/src/random.ts";

export function mutate(bytes: Uint8Array, random: Random): Uint8Array {
  let out = bytes.slice();
  for (let left = random.between(1, 4); left > 0; left--) {
    const at = random.between(8, Math.max(8, out.length - 1));
    switch (random.between(0, 5)) {
      case 0:
        out[at] = random.between(0, 255);
        break;
      case 1:
        out[at] = out[at]! ^ (1 << random.between(0, 7));
        break;
      case 2:
        out = out.subarray(0, at).slice();
        break;
      case 3: {
        const from = random.between(8, Math.max(8, out.length - 1));
        out.copyWithin(at, from, from + random.between(1, 40));
        break;
      }
      case 4:
        out.set([0xff, 0xff, 0xff, 0xff, 0x0f].slice(0, out.length - at), at);
        break;
      case 5:
        out = Uint8Array.from([...out.subarray(0, at), ...random.bytes(random.between(1, 8)), ...out.subarray(at)]);
    }
  }
  return out;
}
