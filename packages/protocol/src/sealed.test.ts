import { Aes128Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from "@hpke/core";
import { fromHex, toHex, utf8 } from "./bytes.ts";
import { expect, it } from "vitest";
import { channelKeyPair, type InputEntry } from "./channel/channel.ts";
import { nodeCrypto } from "./node-crypto.ts";
import { SEALED_BYTES_MAX, openSealed, sealResult, sealedSizeOf, type ResultBytes } from "./sealed.ts";

const bytes = (hex: string): Uint8Array => fromHex(hex) ?? new Uint8Array(0);
const digestOf = (text: string): string => toHex(nodeCrypto.sha256(utf8(text)));
const file = (path: string, text: string): InputEntry => ({ path, kind: "file", digest: digestOf(text), size: text.length });
const customer = channelKeyPair();
const context = { lease: "aa".repeat(32), result: "bb".repeat(32) };
const tree: InputEntry[] = [
  { path: "out", kind: "directory" },
  file("out/a", "one"),
  file("out/b", "second"),
  file("out/again", "one"),
  file("out/empty", ""),
  { path: "out/l", kind: "link", target: "a" },
];
const result: ResultBytes = {
  tree,
  files: new Map(["one", "second", ""].map((text) => [digestOf(text), utf8(text)])),
  stdout: utf8("printed"),
  stderr: utf8("!"),
};

/** RFC 9180, appendix A.1.1: the suite is the one of the standard, not one of this library alone. */
it("opens the standard's own ciphertext", async () => {
  const suite = new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes128Gcm() });
  const recipientKey = await suite.kem.deserializePrivateKey(bytes("4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8"));
  const enc = bytes("37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431");
  const ct = bytes("f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a");
  const info = bytes("4f6465206f6e2061204772656369616e2055726e");
  const plain = await suite.open({ recipientKey, enc, info }, ct, bytes("436f756e742d30"));
  expect(Buffer.from(plain).toString()).toBe("Beauty is truth, truth beauty");
});

it("gives the customer every byte back, and is as large as it was said to be", async () => {
  const sealed = await sealResult(toHex(customer.publicKey), context, result);
  expect(sealed).toHaveLength(sealedSizeOf(tree, 7, 1));
  const opened = await openSealed(nodeCrypto, customer.secretKey, context, sealed ?? new Uint8Array(0));
  expect(opened?.tree).toEqual(tree);
  expect([...(opened?.files ?? [])].map(([digest, part]) => [digest, Buffer.from(part).toString()])).toEqual([
    [digestOf("one"), "one"],
    [digestOf("second"), "second"],
    [digestOf(""), ""],
  ]);
  expect([opened?.stdout, opened?.stderr].map((part) => Buffer.from(part ?? []).toString())).toEqual(["printed", "!"]);
});

it("opens for nobody else, for no other lease or result, and not after a byte was changed", async () => {
  const sealed = (await sealResult(toHex(customer.publicKey), context, result)) ?? new Uint8Array(0);
  const open = (key: Uint8Array, to = context, what = sealed) => openSealed(nodeCrypto, key, to, what);
  expect(await open(channelKeyPair().secretKey)).toBeNull();
  expect(await open(customer.secretKey, { ...context, lease: "cc".repeat(32) })).toBeNull();
  expect(await open(customer.secretKey, { ...context, result: "cc".repeat(32) })).toBeNull();
  for (let at = 0; at < sealed.length; at += 37) {
    expect(
      await open(
        customer.secretKey,
        context,
        sealed.map((byte, i) => (i === at ? byte ^ 1 : byte)),
      ),
    ).toBeNull();
    expect(await open(customer.secretKey, context, sealed.slice(0, at))).toBeNull();
  }
});

it("refuses what a cheating server seals: another file's bytes, missing bytes, no header", async () => {
  const open = async (what: ResultBytes) =>
    openSealed(nodeCrypto, customer.secretKey, context, (await sealResult(toHex(customer.publicKey), context, what)) ?? new Uint8Array(0));
  expect(await open({ ...result, files: new Map([...result.files, [digestOf("second"), utf8("SECOND")]]) })).toBeNull();
  expect(await open({ ...result, files: new Map() })).toBeNull();
  expect(await open({ ...result, tree: [{ path: "../x", kind: "directory" }] })).toBeNull();
  expect(await sealResult("no key", context, result)).toBeNull();
});

it("seals as much as a broker keeps", async () => {
  const stdout = new Uint8Array(SEALED_BYTES_MAX - sealedSizeOf([], 16_000_000, 0) + 16_000_000).fill(7);
  const sealed = await sealResult(toHex(customer.publicKey), context, { tree: [], files: new Map(), stdout, stderr: new Uint8Array(0) });
  expect(sealed).toHaveLength(SEALED_BYTES_MAX);
  const opened = await openSealed(nodeCrypto, customer.secretKey, context, sealed ?? new Uint8Array(0));
  expect(opened?.stdout.length).toBe(stdout.length);
});
