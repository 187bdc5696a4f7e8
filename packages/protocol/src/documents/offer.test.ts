/** Offers of every version that is read, by vectors: those of earlier versions were signed by the code of their time. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { canonicalBytes } from "../canonical.ts";
import { toBase64 } from "../bytes.ts";
import { createSigner, nodeCrypto as crypto } from "../node-crypto.ts";
import { parseDocument, preAuthEncoding, signDocument } from "./envelope.ts";
import type { Envelope } from "./parts.ts";
import type { Payload } from "./schemas.ts";

interface Vector {
  id: string;
  payload: Payload<"offer">;
  envelope: Envelope;
}
const vector = (name: string): Vector =>
  JSON.parse(readFileSync(path.join(import.meta.dirname, "../../vectors", `${name}.json`), "utf8")) as Vector;
const [first, second, third] = [vector("offer-v1"), vector("offer-v2"), vector("offer-v3")];
const signer = createSigner(new Uint8Array(32).fill(7));

/** Signed over whatever it says, as that version. */
function signedAs(version: number, payload: object): Envelope {
  const bytes = canonicalBytes(payload as Parameters<typeof canonicalBytes>[0]);
  const payloadType = `application/vnd.xenoservers.offer.v${version}+json`;
  const sig = toBase64(signer.sign(preAuthEncoding(payloadType, bytes)));
  return { payloadType, payload: toBase64(bytes), signatures: [{ keyid: signer.publicKey, sig }] };
}
const refusalOf = (envelope: Envelope) => parseDocument(crypto, envelope);

describe("an offer", () => {
  it("of version 1 is read under the id that it had, and says nothing of what holds guests", () => {
    expect(parseDocument(crypto, first.envelope)).toMatchObject({
      ok: true,
      document: { kind: "offer", id: first.id, envelope: first.envelope, payload: { ...first.payload, holds: {} } },
    });
    expect(signedAs(1, first.payload)).toEqual(first.envelope);
  });

  it("of version 2 is read under the id that it had, and bounds no guest's files", () => {
    expect(parseDocument(crypto, second.envelope)).toMatchObject({
      ok: true,
      document: { kind: "offer", id: second.id, envelope: second.envelope, payload: second.payload },
    });
    expect(signedAs(2, second.payload)).toEqual(second.envelope);
    expect(refusalOf(signedAs(2, third.payload))).toMatchObject({ code: "bad_payload" });
  });

  it("is signed as version 3, to the byte", () => {
    const { id, envelope } = signDocument(crypto, signer, "offer", third.payload);
    expect({ id, envelope }).toEqual({ id: third.id, envelope: third.envelope });
    expect(parseDocument(crypto, third.envelope)).toMatchObject({ ok: true, document: { id, payload: third.payload } });
  });

  it("is no other version than its type says, and none that is not known", () => {
    const { holds } = second.payload;
    expect(refusalOf(signedAs(1, { ...first.payload, holds }))).toMatchObject({ code: "bad_payload", facts: { path: "holds" } });
    expect(refusalOf(signedAs(2, first.payload))).toMatchObject({ code: "bad_payload", facts: { path: "holds" } });
    expect(refusalOf(signedAs(4, third.payload))).toMatchObject({ code: "unknown_kind" });
    expect(refusalOf({ ...second.envelope, payloadType: first.envelope.payloadType })).toMatchObject({ code: "bad_payload" });
  });

  it.each([
    ["in another order", { wasm: ["seccomp", "own-user"] }],
    ["twice", { wasm: ["seccomp", "seccomp"] }],
    ["before what stood in the list before it", { wasm: ["files", "cgroup-tasks"] }],
    ["that nobody knows", { wasm: ["magic"] }],
    ["of a driver that nobody knows", { docker: ["seccomp"] }],
  ])("names nothing that holds %s", (_what, holds) => {
    for (const version of [2, 3]) expect(refusalOf(signedAs(version, { ...second.payload, holds }))).toMatchObject({ code: "bad_payload" });
  });
});
