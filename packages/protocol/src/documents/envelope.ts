/**
 * DSSE envelopes (secure-systems-lab/dsse, protocol.md) with exactly one Ed25519 signature. A document's id is SHA-256 over its
 * pre-authentication encoding, so the id fixes kind, version and payload, and a second signature over the same payload is the same
 * document. Who controls the inputs: anyone on the network, every byte.
 */
import { canonicalBytes, parseCanonical, type Json } from "../canonical.ts";
import { concatBytes, fromBase64, toBase64, toHex, utf8 } from "../bytes.ts";
import type { Crypto, Signer } from "../crypto.ts";
import { ENVELOPE_PAYLOAD_BYTES_MAX, zEnvelope, type Envelope } from "./parts.ts";
import type { Kind, Payload } from "./schemas.ts";
import { KINDS, payloadType, schemaOf } from "./table.ts";
import { refuse, type Refusal } from "../errors.ts";

/** DSSE's PAE: what is signed. */
export function preAuthEncoding(type: string, payload: Uint8Array): Uint8Array {
  return concatBytes(utf8(`DSSEv1 ${utf8(type).length} ${type} ${payload.length} `), payload);
}

/** A document whose signature is right for the key it names; whether that key may speak is another question (`signer.ts`). */
export interface SignedDocument<K extends Kind = Kind> {
  id: string;
  kind: K;
  payload: Payload<K>;
  keyid: string;
  envelope: Envelope;
}

/** A document of any one kind, narrowed by `kind`. */
export type AnyDocument = { [K in Kind]: SignedDocument<K> }[Kind];

export function signDocument<K extends Kind>(crypto: Crypto, signer: Signer, kind: K, payload: Payload<K>): SignedDocument<K> {
  const parsed = schemaOf(kind).parse(payload) as Payload<K>;
  const bytes = canonicalBytes(parsed as Json);
  const type = payloadType(kind);
  const encoding = preAuthEncoding(type, bytes);
  const envelope: Envelope = {
    payloadType: type,
    payload: toBase64(bytes),
    signatures: [{ keyid: signer.publicKey, sig: toBase64(signer.sign(encoding)) }],
  };
  return { id: toHex(crypto.sha256(encoding)), kind, payload: parsed, keyid: signer.publicKey, envelope };
}

const kindOfType = new Map<string, Kind>(KINDS.map((kind) => [payloadType(kind), kind]));

type ParseResult<T> = { ok: true; document: T } | Refusal;

/** Untrusted value → a document whose signature is right for the key it names, or the first thing wrong with it. */
export function parseDocument(crypto: Crypto, untrusted: unknown): ParseResult<AnyDocument> {
  const envelope = zEnvelope.safeParse(untrusted);
  if (!envelope.success)
    return refuse("bad_envelope", { path: envelope.error.issues[0]?.path.join(".") ?? "", why: envelope.error.issues[0]?.message ?? "" });
  const { payloadType: type, payload, signatures } = envelope.data;
  const kind = kindOfType.get(type);
  if (!kind) return refuse("unknown_kind", { payloadType: type.slice(0, 100) });
  const bytes = fromBase64(payload);
  const signature = fromBase64(signatures[0].sig);
  if (!bytes || !signature) return refuse("bad_envelope", { path: bytes ? "signatures.0.sig" : "payload", why: "must be base64" });
  if (bytes.length > ENVELOPE_PAYLOAD_BYTES_MAX) return refuse("body_too_large", { bytesMax: ENVELOPE_PAYLOAD_BYTES_MAX });
  const value = parseCanonical(bytes);
  if (value === null) return refuse("not_canonical", { kind });
  const parsed = schemaOf(kind).safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    const unknown = issue.code === "unrecognized_keys" ? issue.keys : [];
    return refuse("bad_payload", { kind, path: [...issue.path, ...unknown].join("."), why: issue.message });
  }
  const encoding = preAuthEncoding(type, bytes);
  if (!crypto.verify(signatures[0].keyid, encoding, signature)) return refuse("bad_signature", { kind });
  const document = { id: toHex(crypto.sha256(encoding)), kind, payload: parsed.data, keyid: signatures[0].keyid, envelope: envelope.data };
  return { ok: true, document: document as AnyDocument };
}

/** As parseDocument, and of one kind. */
export function parseDocumentOf<K extends Kind>(crypto: Crypto, kind: K, untrusted: unknown): ParseResult<SignedDocument<K>> {
  const parsed = parseDocument(crypto, untrusted);
  if (!parsed.ok) return parsed;
  if (parsed.document.kind !== kind) return refuse("unknown_kind", { expected: kind, got: parsed.document.kind });
  return { ok: true, document: parsed.document as unknown as SignedDocument<K> };
}
