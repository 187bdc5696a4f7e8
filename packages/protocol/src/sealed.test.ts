import { Aes128Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from "@hpke/core";
import { fromHex, toHex, utf8 } from "./bytes.ts";
import { expect, it } from "vitest";
import { collected } from "@xenoservers/testkit";
import { channelKeyPair, type InputEntry } from "./channel/channel.ts";
import { nodeCrypto } from "./node-crypto.ts";
import { SEALED_PART_BYTES_MAX, SEAL_BYTES } from "./result-fit.ts";
import { filesOf, openSealed, sealResult, type ResultBytes } from "./sealed.ts";

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

const keyHex = toHex(customer.publicKey);

async function sealedParts(key: string, { tree, files, stdout, stderr }: ResultBytes): Promise<Uint8Array[]> {
  async function* bytes(): AsyncGenerator<Uint8Array> {
    for (const digest of filesOf(tree).keys()) yield files.get(digest) ?? new Uint8Array(0);
    yield* [stdout.subarray(0, 3), stdout.subarray(3), stderr];
  }
  return collected(sealResult(key, context, { tree, stdoutSize: stdout.length, stderrSize: stderr.length }, bytes()));
}
const openParts = (parts: readonly Uint8Array[], key = customer.secretKey, to = context): Promise<ResultBytes | null> =>
  openSealed(nodeCrypto, key, to, async (part) => parts[part] ?? new Uint8Array(0));

it("gives the customer every byte back", async () => {
  const opened = await openParts(await sealedParts(keyHex, result));
  expect(opened?.tree).toEqual(tree);
  expect([...(opened?.files ?? [])].map(([digest, part]) => [digest, Buffer.from(part).toString()])).toEqual([
    [digestOf("one"), "one"],
    [digestOf("second"), "second"],
    [digestOf(""), ""],
  ]);
  expect([opened?.stdout, opened?.stderr].map((part) => Buffer.from(part ?? []).toString())).toEqual(["printed", "!"]);
});

it("opens for nobody else, for no other lease or result, and not after a byte was changed", async () => {
  const parts = await sealedParts(keyHex, result);
  const [sealed = new Uint8Array(0)] = parts;
  expect(await openParts(parts, channelKeyPair().secretKey)).toBeNull();
  expect(await openParts(parts, customer.secretKey, { ...context, lease: "cc".repeat(32) })).toBeNull();
  expect(await openParts(parts, customer.secretKey, { ...context, result: "cc".repeat(32) })).toBeNull();
  for (let at = 0; at < sealed.length; at += 37) {
    expect(await openParts([sealed.map((byte, i) => (i === at ? byte ^ 1 : byte))])).toBeNull();
    expect(await openParts([sealed.slice(0, at)])).toBeNull();
  }
});

it("refuses what a cheating server seals: another file's bytes, missing bytes, no header", async () => {
  const open = async (what: ResultBytes) => openParts(await sealedParts(keyHex, what));
  expect(await open({ ...result, files: new Map([...result.files, [digestOf("second"), utf8("SECOND")]]) })).toBeNull();
  expect(await open({ ...result, files: new Map() })).toBeNull();
  expect(await open({ ...result, tree: [{ path: "../x", kind: "directory" }] })).toBeNull();
  expect(await sealedParts("no key", result)).toEqual([]);
});

/** Three parts, the last of them as short as can be. */
async function threeParts(): Promise<{ stdout: Uint8Array; parts: Uint8Array[] }> {
  const empty = { tree: [], files: new Map(), stderr: new Uint8Array(0) };
  const whole = 2 * (SEALED_PART_BYTES_MAX - SEAL_BYTES) + 1;
  const header = 4 + JSON.stringify({ stderrSize: 0, stdoutSize: whole, tree: [] }).length;
  const stdout = new Uint8Array(whole - header).map((_, i) => i >> 8);
  return { stdout, parts: await sealedParts(keyHex, { ...empty, stdout }) };
}

it("refuses a list in which the same bytes have two sizes, of which the last is right", async () => {
  const lying = [{ ...file("out/first", "one"), size: 2 }, ...tree];
  const opened = await openSealed(
    nodeCrypto,
    customer.secretKey,
    context,
    async (part) => (await sealedParts(keyHex, { ...result, tree: lying }))[part] ?? new Uint8Array(0),
  );
  expect(opened).toBeNull();
});

it("seals what is large in parts, and takes them in their order and whole alone", async () => {
  const { stdout, parts } = await threeParts();
  expect(parts.map(({ length }) => length)).toEqual([SEALED_PART_BYTES_MAX, SEALED_PART_BYTES_MAX, SEAL_BYTES + 1]);
  const opened = await openParts(parts);
  expect(Buffer.compare(opened?.stdout ?? new Uint8Array(0), stdout)).toBe(0);
  const [one, two, three] = parts as [Uint8Array, Uint8Array, Uint8Array];
  for (const wrong of [
    [one, two],
    [two, one, three],
    [one, one, three],
    [one, three, two],
    [one, two, two],
    [one, three],
  ])
    expect(await openParts(wrong)).toBeNull();
});

it("reads no list of files that is longer than any can be", async () => {
  const asked: number[] = [];
  const length = (bytes: number): Uint8Array => Uint8Array.of(bytes >>> 24, bytes >>> 16, bytes >>> 8, bytes);
  const suite = new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes128Gcm() });
  const recipientPublicKey = await suite.kem.deserializePublicKey(customer.publicKey);
  const info = utf8(`xenoservers sealed result\n${context.lease}\n${context.result}\n0\n`);
  const { enc, ct } = await suite.seal({ recipientPublicKey, info }, length(512 * 1024 * 1024));
  const lying = Buffer.concat([new Uint8Array(enc), new Uint8Array(ct)]);
  const opened = await openSealed(nodeCrypto, customer.secretKey, context, async (part) => (asked.push(part), lying));
  expect([opened, asked]).toEqual([null, [0]]);
});

it("tells a broker that does not hand a part out from a server that sealed something else", async () => {
  const gone = () => Promise.reject(new Error("not found"));
  await expect(openSealed(nodeCrypto, customer.secretKey, context, gone)).rejects.toThrow("not found");
});
