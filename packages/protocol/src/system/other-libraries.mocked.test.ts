/** Where `node:crypto` is not OpenSSL's, as in Bun: a cipher and an HMAC of the channel are not there. */
import type * as NodeCrypto from "node:crypto";
import { expect, it, vi } from "vitest";
import { toHex } from "../bytes.ts";
import { nodeChannelCrypto as own } from "./node-channel-crypto.ts";
import { webChannelCrypto as web } from "./web-channel-crypto.ts";

const LACKING = vi.hoisted(() => /^(chacha20-poly1305|blake2b512)$/);

vi.mock("node:crypto", async (original) => {
  const all = await original<typeof NodeCrypto>();
  const refusing =
    <A extends readonly unknown[], R>(make: (...args: A) => R, says: string) =>
    (...args: A): R => {
      if (LACKING.test(String(args[0]))) throw new Error(says);
      return make(...args);
    };
  return {
    ...all,
    createHmac: refusing(all.createHmac, "Invalid digest: blake2b512"),
    createCipheriv: refusing(all.createCipheriv as (...args: readonly unknown[]) => unknown, "Unknown cipher"),
    createDecipheriv: refusing(all.createDecipheriv as (...args: readonly unknown[]) => unknown, "Unknown cipher"),
    getCipherInfo: (name: string) => (LACKING.test(name) ? undefined : all.getCipherInfo(name)),
  };
});

it.each([10, 1_023, 1_024, 65_519])("a channel seals and opens %i bytes there", (length) => {
  const [key, also, nonce] = [new Uint8Array(32).fill(7), new Uint8Array(20).fill(3), new Uint8Array(12).fill(1)];
  const plain = new Uint8Array(length).map((_, at) => at);
  const [sealed, same, opened] = [new Uint8Array(length + 16), new Uint8Array(length + 16), new Uint8Array(length)];
  own.seal(sealed, plain, also, nonce, key);
  web.seal(same, plain, also, nonce, key);
  expect(toHex(sealed)).toBe(toHex(same));
  own.open(opened, sealed, also, nonce, key);
  expect(toHex(opened)).toBe(toHex(plain));
  sealed[length]! ^= 1;
  expect(() => own.open(opened, sealed, also, nonce, key)).toThrow();
});

it.each([0, 1, 64, 128, 129, 300])("keys are derived there, by a key of %i bytes", (length) => {
  const [key, bytes] = [new Uint8Array(length).fill(9), new Uint8Array(77).fill(5)];
  expect(toHex(own.hmacBlake2b(key, bytes))).toBe(toHex(web.hmacBlake2b(key, bytes)));
});
