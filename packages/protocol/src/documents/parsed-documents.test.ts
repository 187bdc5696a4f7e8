import { describe, expect, it } from "vitest";
import { createSigner, nodeCrypto } from "../node-crypto.ts";
import type { Crypto } from "../crypto.ts";
import { parseDocument, signDocument, type AnyDocument } from "./envelope.ts";
import { ParsedDocuments } from "./parsed-documents.ts";

const signer = createSigner(new Uint8Array(32).fill(7));
const signed = (why: string) =>
  signDocument(nodeCrypto, signer, "stop", {
    origin: "market.test",
    seen: null,
    lease: "a".repeat(64),
    party: `p_${"b".repeat(40)}`,
    reason: why,
  });

/** The same cryptography in an object of its own, and how often it was asked for a signature. */
function counted(): { crypto: Crypto; asked: () => number } {
  let asked = 0;
  const verify: Crypto["verify"] = (...of) => {
    asked++;
    return nodeCrypto.verify(...of);
  };
  return { crypto: { ...nodeCrypto, verify }, asked: () => asked };
}

function read(crypto: Crypto, envelope: unknown): AnyDocument {
  const parsed = parseDocument(crypto, structuredClone(envelope));
  if (!parsed.ok) throw new Error(parsed.code);
  return parsed.document;
}

describe("a document that is read again", () => {
  it("is the one that it was, and its signature is not computed again", () => {
    const { crypto, asked } = counted();
    const { envelope } = signed("one");
    const first = read(crypto, envelope);
    expect(first).toEqual(signed("one"));
    expect(read(crypto, envelope)).toBe(first);
    expect(asked()).toBe(1);
    expect(read(crypto, signed("two").envelope)).not.toBe(first);
    expect(asked()).toBe(2);
  });

  it("can be changed by nobody, to the last letter of it", () => {
    const { crypto } = counted();
    const document = read(crypto, signed("one").envelope);
    expect(() => Object.assign(document, { kind: "order" })).toThrow(TypeError);
    expect(() => Object.assign(document.payload, { reason: "another" })).toThrow(TypeError);
    expect(() => Object.assign(document.envelope.signatures[0], { keyid: "0".repeat(64) })).toThrow(TypeError);
    expect(read(crypto, signed("one").envelope).payload).toEqual(signed("one").payload);
  });

  it.each<[string, (envelope: ReturnType<typeof signed>["envelope"]) => unknown]>([
    ["another's signature", (envelope) => ({ ...envelope, signatures: signed("two").envelope.signatures })],
    ["another's payload", (envelope) => ({ ...envelope, payload: signed("two").envelope.payload })],
    ["another key", ({ signatures: [{ sig }], ...envelope }) => ({ ...envelope, signatures: [{ keyid: "ab".repeat(32), sig }] })],
    ["another kind", (envelope) => ({ ...envelope, payloadType: envelope.payloadType.replace("stop", "order") })],
    ["a second signature", (envelope) => ({ ...envelope, signatures: [...envelope.signatures, ...envelope.signatures] })],
    ["one key more", (envelope) => ({ ...envelope, more: 1 })],
    ["its parts in one", ({ payloadType, ...envelope }) => ({ ...envelope, payloadType: `${payloadType}\n${envelope.payload}` })],
  ])("is refused with %s, before and after", (_, change) => {
    const { crypto } = counted();
    const { envelope } = signed("one");
    const refused = parseDocument(crypto, change(envelope));
    expect(refused.ok).toBe(false);
    read(crypto, envelope);
    read(crypto, signed("two").envelope);
    expect(parseDocument(crypto, change(envelope))).toEqual(refused);
    expect(parseDocument(crypto, change(envelope))).toEqual(refused);
  });

  it("is read anew by other cryptography, which may find it wrong", () => {
    read(counted().crypto, signed("one").envelope);
    expect(parseDocument({ ...nodeCrypto, verify: () => false }, signed("one").envelope)).toMatchObject({
      ok: false,
      code: "bad_signature",
    });
  });
});

it("keeps so much of them and no more, whoever sends them", () => {
  const documents = new ParsedDocuments<AnyDocument>();
  const { envelope, ...rest } = signed("one");
  const of = (i: number, chars: number): AnyDocument => {
    const payload = String(i).padStart(chars, "x");
    return { ...rest, envelope: { ...envelope, payload } };
  };
  const kept = (all: readonly AnyDocument[]): number => all.filter((each) => documents.of(each.envelope) !== null).length;
  const [many, long] = [Array.from({ length: 1_000 }, (_, i) => of(i, 10_000)), of(0, 40_000)];
  for (const each of [...many, long]) documents.keep(each);
  expect(documents.of(long.envelope)).toBe(null);
  expect(documents.of(many.at(-1)!.envelope)).toBe(many.at(-1));
  expect(kept(many)).toBeGreaterThan(1);
  expect(kept(many)).toBeLessThan(220);
});
