/** Both platforms give the same, byte for byte, and refuse the same. */
import { generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { ed25519 } from "@noble/curves/ed25519.js";
import { sha512 } from "@noble/hashes/sha2.js";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { toHex } from "../bytes.ts";
import * as node from "./node.ts";
import * as web from "./web.ts";

const PLATFORMS = [
  ["node", node, web],
  ["web", web, node],
] as const;
const bytes = (max: number) => fc.uint8Array({ maxLength: max });
const of32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));

describe.each(PLATFORMS)("on %s", (_, own, other) => {
  it("hashes as the standards' examples do", () => {
    expect(toHex(own.systemCrypto.sha256(Buffer.from("abc")))).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    expect(toHex(own.systemCrypto.hmacSha256(Buffer.from("Jefe"), Buffer.from("what do ya want for nothing?")))).toBe(
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    );
    expect(toHex(own.channelCrypto.blake2b(Buffer.from("abc")))).toMatch(/^ba80a53f981c4d0d6a2797b69f12f6e9.*9923$/);
  });

  it("hashes on from where it said what it had", () => {
    const hash = own.startSha256();
    hash.update(Buffer.from("a"));
    expect(hash.digest()).toEqual(own.systemCrypto.sha256(Buffer.from("a")));
    hash.update(Buffer.from("bc"));
    expect(toHex(hash.digest())).toBe(toHex(other.systemCrypto.sha256(Buffer.from("abc"))));
  });

  it("hashes, signs and verifies what the other does", () =>
    fc.assert(
      fc.property(of32, bytes(300), fc.nat(511), (seed, message, bit) => {
        expect(toHex(own.systemCrypto.hmacSha256(seed, message))).toBe(toHex(other.systemCrypto.hmacSha256(seed, message)));
        expect(toHex(own.channelCrypto.hmacBlake2b(seed, message))).toBe(toHex(other.channelCrypto.hmacBlake2b(seed, message)));
        const [mine, theirs] = [own.createSigner(seed), other.createSigner(seed)];
        expect(mine.publicKey).toBe(theirs.publicKey);
        const signature = mine.sign(message);
        expect(toHex(signature)).toBe(toHex(theirs.sign(message)));
        expect(own.systemCrypto.verify(mine.publicKey, message, signature)).toBe(true);
        const bent = signature.slice();
        bent[bit >> 3] = bent[bit >> 3]! ^ (1 << (bit & 7));
        expect(own.systemCrypto.verify(mine.publicKey, message, bent)).toBe(false);
      }),
      { numRuns: 30 },
    ));

  it("agrees on keys and shared secrets, and has none with a point that adds nothing", () => {
    fc.assert(
      fc.property(of32, of32, (a, b) => {
        const [mine, theirs] = [own.channelCrypto.keyPair(a), other.channelCrypto.keyPair(b)];
        expect(toHex(other.channelCrypto.keyPair(a).publicKey)).toBe(toHex(mine.publicKey));
        const shared = own.channelCrypto.sharedSecret(a, theirs.publicKey);
        expect(toHex(shared)).toBe(toHex(other.channelCrypto.sharedSecret(b, mine.publicKey)));
      }),
      { numRuns: 10 },
    );
    for (const point of SMALL_X25519) expect(() => own.channelCrypto.sharedSecret(new Uint8Array(32).fill(7), hex(point)), point).toThrow();
    expect(() => own.channelCrypto.sharedSecret(new Uint8Array(32).fill(7), new Uint8Array(31))).toThrow();
    expect(own.channelCrypto.keyPair().secretKey).not.toEqual(own.channelCrypto.keyPair().secretKey);
  });

  it("opens what the other sealed, long or short, and nothing that was changed", () => {
    const length = fc.oneof(fc.nat(40), fc.integer({ min: 1_000, max: 1_050 }), fc.constantFrom(65_519));
    fc.assert(
      fc.property(length, fc.option(bytes(64)), of32, fc.nat(), (size, also, key, at) => {
        const plain = randomBytes(size);
        const nonce = randomBytes(12);
        const sealed = new Uint8Array(size + 16);
        other.channelCrypto.seal(sealed, plain, also, nonce, key);
        // as packets are opened: where their message lies, at any place of it
        const room = new Uint8Array(size + 3).subarray(3);
        own.channelCrypto.open(room, sealed, also, nonce, key);
        expect(Buffer.compare(room, plain)).toBe(0);
        sealed[at % sealed.length]! ^= 1;
        expect(() => own.channelCrypto.open(room, sealed, also, nonce, key)).toThrow();
      }),
      { numRuns: 40 },
    );
  });
});

/** Points of small order, and ones that are written as no point should be (RFC 7748; https://cr.yp.to/ecdh.html). */
const SMALL_X25519 = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
  "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

/** Ed25519 points of small order in each way of writing them that decoders have been known to take. */
const ODD_POINTS = [
  "0100000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000080",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0000000000000000000000000000000000000000000000000000000000000080",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
  "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
];

const SMALL_POINTS = ODD_POINTS.filter((_, i) => [0, 2, 6, 8].includes(i));
const { Point } = ed25519;
const numberOf = (bytes: Uint8Array): bigint => BigInt(`0x${toHex(bytes.slice().reverse())}`);

/** A lease must not stand for one party and be nothing to another: what is a signature in a page is one in Node. */
describe("a signature by nobody's key", () => {
  const both = (key: string, message: Uint8Array, signature: Uint8Array): [boolean, boolean] => [
    node.systemCrypto.verify(key, message, signature),
    web.systemCrypto.verify(key, message, signature),
  ];

  it("is none, whatever the OpenSSL of this Node says of it", () => {
    const zero = new Uint8Array(32);
    for (const key of ODD_POINTS)
      for (const r of ODD_POINTS)
        for (const text of ["a", "b", "c", "d", "e", "f", "g", "h"])
          expect(both(key, Buffer.from(text), Buffer.concat([hex(r), zero])), `${key} ${r} ${text}`).toEqual([false, false]);
  });

  it("is judged alike by keys and with Rs that hold a part of small order, and refused where R is nothing else", () => {
    const secret = ed25519.utils.getExtendedPublicKey(new Uint8Array(32).fill(9)).scalar;
    const small = SMALL_POINTS.map((point) => Point.fromHex(point));
    const taken: boolean[] = [];
    for (const inKey of small)
      for (const inR of small)
        for (const nonce of [0n, 12_345n])
          for (const text of ["a", "b", "c", "d", "e", "f", "g", "h"]) {
            const key = Point.BASE.multiply(secret).add(inKey).toBytes();
            const r = (nonce === 0n ? Point.ZERO : Point.BASE.multiply(nonce)).add(inR).toBytes();
            const k = numberOf(sha512(Buffer.concat([r, key, Buffer.from(text)])));
            const s = (nonce + k * secret) % Point.Fn.ORDER;
            const [ours, theirs] = both(toHex(key), Buffer.from(text), Buffer.concat([r, hex(s.toString(16).padStart(64, "0")).reverse()]));
            expect(theirs).toBe(ours);
            if (nonce === 0n) expect(ours).toBe(false);
            taken.push(ours);
          }
    // or nothing was compared but refusals
    expect(new Set(taken)).toEqual(new Set([true, false]));
  });

  it("is judged alike where its S is the order's, or above it, and where its R is odd beside an honest key", () => {
    const { privateKey, publicKey } = generateKeyPairSync("ed25519");
    const key = toHex(publicKey.export({ format: "der", type: "spki" }).subarray(12));
    const message = Buffer.from("m");
    const signature = new Uint8Array(sign(null, message, privateKey));
    expect(both(key, message, signature)).toEqual([true, true]);
    const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;
    const s = BigInt(`0x${toHex(signature.slice(32).reverse())}`) + ORDER;
    const above = Buffer.concat([signature.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, "0"), "hex").reverse()]);
    expect(both(key, message, above)).toEqual([false, false]);
    for (const r of ODD_POINTS) {
      const odd = Buffer.concat([hex(r), signature.subarray(32)]);
      expect(both(key, message, odd), r).toEqual([false, false]);
    }
    for (const odd of [new Uint8Array(), new Uint8Array(63), new Uint8Array(64)]) expect(both(key, message, odd)).toEqual([false, false]);
    expect(both(key.toUpperCase(), message, signature)).toEqual([false, false]);
  });
});
