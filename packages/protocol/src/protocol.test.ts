import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as p from "./index.ts";
import { createSigner, nodeCrypto as crypto } from "./node-crypto.ts";

const signer = createSigner(new Uint8Array(32).fill(7));
const stop = { origin: "m", seen: null, lease: "0".repeat(64), party: `p_${"1".repeat(40)}`, reason: "done" };

it("a signature that was right stays so for its own key and message alone", () => {
  const [one, other] = [createSigner(new Uint8Array(32).fill(1)), createSigner(new Uint8Array(32).fill(2))];
  const [message, another] = [p.utf8("a message"), p.utf8("another one")];
  const signature = one.sign(message);
  const wrong = Uint8Array.from(signature, (byte, i) => (i === 63 ? byte ^ 1 : byte));
  for (let round = 0; round < 2; round++) {
    expect(crypto.verify(one.publicKey, message, signature)).toBe(true);
    expect(crypto.verify(one.publicKey, another, signature)).toBe(false);
    expect(crypto.verify(other.publicKey, message, signature)).toBe(false);
    expect(crypto.verify(one.publicKey, message, wrong)).toBe(false);
  }
});

describe("bytes", () => {
  it("round-trips base64 and hex, and refuses other spellings", () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(p.toBase64(bytes)).toBe(Buffer.from(bytes).toString("base64"));
        expect(p.fromBase64(p.toBase64(bytes))).toEqual(bytes);
        expect(p.fromHex(p.toHex(bytes))).toEqual(bytes);
      }),
    );
    for (const bad of ["A", "AB==", "A===", "AAA=AAAA", "é===", "AA=="].slice(0, 5)) expect(p.fromBase64(bad)).toBeNull();
  });
});

describe("canonical JSON", () => {
  it("gives the same bytes whatever the key order", () => {
    expect(p.canonicalText({ b: 1, a: [null, "x"] })).toBe('{"a":[null,"x"],"b":1}');
  });
  it.each(['{"a":1,"a":1}', '{"b":1,"a":1}', '{"a": 1}', '{"a":1.5}', '{"a":1e3}', '{"a":-0}', '"\\u0041"', "{"])("refuses %s", (text) => {
    expect(p.parseCanonical(p.utf8(text))).toBeNull();
  });
  // canonicalizers of RFC 8785 wrote them in five ways, so that a signature was over other bytes at each end
  it.each(['"\\ud800"', '["\\ude00\\ud83d"]', '{"\\udc00":1}', '{"a":{"x\\ud83d":null}}'])(
    "has no form for half a character: %s",
    (text) => {
      expect(p.parseCanonical(p.utf8(text))).toBeNull();
      expect(() => p.canonicalText(JSON.parse(text))).toThrow("well-formed");
      expect(p.ifCanonical(() => p.canonicalBytes(JSON.parse(text)))).toBeNull();
    },
  );
});

describe("documents", () => {
  it("signs and parses; one changed byte anywhere is refused", () => {
    const document = p.signDocument(crypto, signer, "stop", stop);
    expect(p.parseDocument(crypto, structuredClone(document.envelope))).toMatchObject({
      ok: true,
      document: { id: document.id, kind: "stop" },
    });
    const text = JSON.stringify(document.envelope);
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.integer({ min: 33, max: 126 }), (at, code) => {
        const changed = text.slice(0, at) + String.fromCharCode(code) + text.slice(at + 1);
        if (changed === text) return;
        let value: unknown;
        try {
          value = JSON.parse(changed);
        } catch {
          return;
        }
        expect(p.parseDocument(crypto, value).ok).toBe(false);
      }),
      { numRuns: 400 },
    );
  });
  it("names the field that is wrong, and unknown keys", () => {
    const sign = (payload: p.Json) => {
      const bytes = p.canonicalBytes(payload);
      const type = p.payloadType("stop");
      return {
        payloadType: type,
        payload: p.toBase64(bytes),
        signatures: [{ keyid: signer.publicKey, sig: p.toBase64(signer.sign(p.preAuthEncoding(type, bytes))) }],
      };
    };
    expect(p.parseDocument(crypto, sign({ ...stop, lease: "zz" }))).toMatchObject({ code: "bad_payload", facts: { path: "lease" } });
    expect(p.parseDocument(crypto, sign({ ...stop, extra: 1 }))).toMatchObject({ code: "bad_payload", facts: { path: "extra" } });
    expect(p.parseDocument(crypto, { payloadType: "x" })).toMatchObject({ code: "bad_envelope" });
  });
  it("verifies the signature with the key it names", () => {
    const other = createSigner(new Uint8Array(32).fill(8));
    const document = p.signDocument(crypto, signer, "stop", stop);
    const envelope = { ...document.envelope, signatures: [{ ...document.envelope.signatures[0], keyid: other.publicKey }] };
    expect(p.parseDocument(crypto, envelope)).toMatchObject({ code: "bad_signature" });
  });
});

describe("Merkle tree", () => {
  const sizes = [1, 2, 3, 5, 8, 13, 21];
  const build = (size: number) => {
    const nodes = new Map<string, Uint8Array>();
    for (let i = 0; i < size; i++) {
      nodes.set(`0/${i}`, p.leafHash(crypto, p.utf8(`leaf ${i}`)));
      for (let level = 0, index = i; index % 2 === 1; level++, index = (index - 1) / 2)
        nodes.set(
          `${level + 1}/${(index - 1) / 2}`,
          p.nodeHash(crypto, nodes.get(`${level}/${index - 1}`)!, nodes.get(`${level}/${index}`)!),
        );
    }
    return (refs: p.NodeRef[]) => refs.map((ref) => nodes.get(`${ref.level}/${ref.index}`)!);
  };
  it("matches RFC 6962's recursive definition", () => {
    const mth = (leaves: Uint8Array[]): Uint8Array => {
      if (leaves.length === 1) return p.leafHash(crypto, leaves[0]!);
      let k = 1;
      while (k * 2 < leaves.length) k *= 2;
      return p.nodeHash(crypto, mth(leaves.slice(0, k)), mth(leaves.slice(k)));
    };
    for (const size of sizes)
      expect(p.rootFrom(crypto, size, build(size)(p.rootRefs(size)))).toEqual(
        mth(Array.from({ length: size }, (_, i) => p.utf8(`leaf ${i}`))),
      );
  });
  it("proves every inclusion and consistency, and no wrong one", () => {
    const read = build(21);
    const root = (size: number) => p.rootFrom(crypto, size, read(p.rootRefs(size)));
    for (const size of sizes)
      for (let index = 0; index < size; index++) {
        const proof = p.inclusionRefs(index, size).map((group) => p.foldGroup(crypto, read(group)));
        const leaf = p.leafHash(crypto, p.utf8(`leaf ${index}`));
        expect(p.verifyInclusion(crypto, leaf, index, size, proof, root(size))).toBe(true);
        expect(p.verifyInclusion(crypto, leaf, index + 1, size, proof, root(size))).toBe(false);
        expect(p.verifyInclusion(crypto, p.leafHash(crypto, p.utf8("x")), index, size, proof, root(size))).toBe(false);
      }
    for (const size of sizes)
      for (let old = 1; old <= size; old++) {
        const proof = p.consistencyRefs(old, size).map((group) => p.foldGroup(crypto, read(group)));
        expect(p.verifyConsistency(crypto, old, root(old), size, root(size), proof)).toBe(true);
        if (old < size) expect(p.verifyConsistency(crypto, old, p.utf8("y".repeat(32)), size, root(size), proof)).toBe(false);
      }
  });
});

describe("checkpoints", () => {
  it("verifies only under the right key", () => {
    const note = p.signCheckpoint(crypto, signer, { origin: "example/1", size: 3, root: "ab".repeat(32) });
    expect(p.verifyCheckpoint(crypto, signer.publicKey, note)).toEqual({ origin: "example/1", size: 3, root: "ab".repeat(32) });
    expect(p.verifyCheckpoint(crypto, "00".repeat(32), note)).toBeNull();
    expect(p.verifyCheckpoint(crypto, signer.publicKey, note.replace("\n3\n", "\n4\n"))).toBeNull();
  });
});

describe("fuel in documents", () => {
  it.each(["1x", "", "-1", "1.5", "01", "99999999999999999999", "9223372036854775807"])("refuses %j without falling over it", (text) => {
    expect(p.zFuel.safeParse(text).success).toBe(false);
  });
  it("takes what an engine can count", () => {
    for (const text of ["0", "1", (1n << 62n).toString()]) expect(p.zFuel.safeParse(text).success).toBe(true);
  });
});
