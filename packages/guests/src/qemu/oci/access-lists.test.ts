import { describe, expect, it } from "vitest";
import { isAccessListValue } from "./access-lists.ts";

/** Of tag, permissions and who. */
function list(...entries: readonly (readonly [tag: number, permissions: number, id?: number])[]): string {
  const bytes = Buffer.alloc(4 + 8 * entries.length);
  bytes.writeUInt32LE(2);
  for (const [i, [tag, permissions, id = 0xffff_ffff]] of entries.entries()) {
    bytes.writeUInt16LE(tag, 4 + 8 * i);
    bytes.writeUInt16LE(permissions, 6 + 8 * i);
    bytes.writeUInt32LE(id, 8 + 8 * i);
  }
  return bytes.toString("latin1");
}

describe("an access list", () => {
  it.each([
    ["of a mode alone", list([1, 6], [4, 4], [32, 0])],
    ["of a user", list([1, 6], [2, 4, 33], [2, 6, 34], [4, 4], [16, 6], [32, 0])],
    ["of groups", list([1, 6], [4, 4], [8, 7, 5], [16, 7], [32, 0])],
    ["of nobody", list()],
  ])("is one: %s", (_, value) => expect(isAccessListValue(value)).toBe(true));

  it.each([
    ["empty", ""],
    ["text", "user::rw-"],
    ["of another version", `\x01${list([1, 6], [4, 4], [32, 0]).slice(1)}`],
    ["cut off", list([1, 6], [4, 4], [32, 0]).slice(0, -1)],
    ["without others", list([1, 6], [4, 4])],
    ["of a user without a mask", list([1, 6], [2, 4, 33], [4, 4], [32, 0])],
    ["out of order", list([4, 4], [1, 6], [32, 0])],
    ["of two owners", list([1, 6], [1, 6], [4, 4], [32, 0])],
    ["of a tag that there is not", list([1, 6], [3, 4], [4, 4], [32, 0])],
    ["of a permission that there is not", list([1, 8], [4, 4], [32, 0])],
  ])("is none: %s", (_, value) => expect(isAccessListValue(value)).toBe(false));
});
