/** What others seal is opened, and what the standard refuses is not. */
import { Aes128Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from "@hpke/core";
import fc from "fast-check";
import { expect, it } from "vitest";
import { channelKeyPair } from "./channel/channel.ts";
import { openHpke } from "./hpke-open.ts";

const suite = new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes128Gcm() });
const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));
const bytes = fc.uint8Array({ maxLength: 300 });
const seed = fc.uint8Array({ minLength: 32, maxLength: 32 });

async function sealedFor(publicKey: Uint8Array, info: Uint8Array, plain: Uint8Array) {
  const recipientPublicKey = await suite.kem.deserializePublicKey(publicKey);
  const { enc, ct } = await suite.seal({ recipientPublicKey, info }, plain);
  return { key: new Uint8Array(enc), info, sealed: new Uint8Array(ct) };
}

it("opens what another implementation has sealed", () =>
  fc.assert(
    fc.asyncProperty(seed, bytes, bytes, async (secret, info, plain) => {
      const { publicKey, secretKey } = channelKeyPair(secret);
      expect(await openHpke(secretKey, await sealedFor(publicKey, info, plain))).toEqual(plain);
    }),
    { numRuns: 50 },
  ));

it("opens nothing that was bent, sealed for another, or about something else", () =>
  fc.assert(
    fc.asyncProperty(seed, seed, bytes, bytes, fc.nat(), async (secret, otherSecret, info, plain, at) => {
      const { publicKey, secretKey } = channelKeyPair(secret);
      const message = await sealedFor(publicKey, info, plain);
      const bent = (part: Uint8Array): Uint8Array => part.map((byte, i) => (i === at % part.length ? byte ^ 1 : byte));
      expect(await openHpke(secretKey, { ...message, sealed: bent(message.sealed) })).toBeNull();
      expect(await openHpke(secretKey, { ...message, key: bent(message.key) })).toBeNull();
      expect(await openHpke(secretKey, { ...message, info: new Uint8Array([...info, 0]) })).toBeNull();
      expect(await openHpke(secretKey, { ...message, sealed: message.sealed.subarray(0, 8) })).toBeNull();
      // X25519 makes one key of seeds that differ in some bits alone
      const other = channelKeyPair(otherSecret);
      if (!Buffer.from(publicKey).equals(Buffer.from(other.publicKey))) expect(await openHpke(other.secretKey, message)).toBeNull();
    }),
    { numRuns: 50 },
  ));

it("has no secret with a point that adds nothing, or a key of another length", async () => {
  const { publicKey, secretKey } = channelKeyPair(hex("11".repeat(32)));
  const message = await sealedFor(publicKey, hex(""), hex("00"));
  const small = ["00".repeat(32), `01${"00".repeat(31)}`, "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"];
  for (const key of [...small, "", "00", "11".repeat(31), "11".repeat(33)])
    expect(await openHpke(secretKey, { ...message, key: hex(key) })).toBeNull();
});
