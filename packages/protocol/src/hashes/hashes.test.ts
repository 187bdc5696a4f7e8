/** Both platforms hash the same, as the standard's examples do. */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { toHex } from "../bytes.ts";
import * as node from "./node.ts";
import * as web from "./web.ts";

/** Of "abc" (FIPS 180-4, NIST's examples). */
const EXAMPLES = {
  sha256: /^ba7816bf.*f20015ad$/,
  sha384: /^cb00753f.*34c825a7$/,
  sha512: /^ddaf35a1.*a54ca49f$/,
};

describe.each([
  ["node", node],
  ["web", web],
])("on %s", (_, { HASH_NAMES, startHash }) => {
  it.each(HASH_NAMES)("%s goes on from where it said what it had", (name) => {
    const hash = startHash(name);
    hash.update(Buffer.from("a"));
    expect(toHex(hash.digest())).toBe(createHash(name).update("a").digest("hex"));
    hash.update(Buffer.from("bc"));
    expect(toHex(hash.digest())).toMatch(EXAMPLES[name]);
    expect(toHex(hash.digest())).toBe(createHash(name).update("abc").digest("hex"));
  });
});
