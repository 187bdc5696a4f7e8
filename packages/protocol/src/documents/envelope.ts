/**
 * DSSE envelopes (secure-systems-lab/dsse, protocol.md) with exactly one Ed25519 signature. A document's id is SHA-256 over its
 * pre-authentication encoding, so the id fixes kind, version and payload, and a second signature over the same payload is the same
 * document. Who controls the inputs: anyone on the network, every byte.
 */
import { canonicalBytes, parseCanonical } from "../canonical.ts";
import { concatBytes, fromBase64, toBase64, toHex, utf8 } from "../bytes.ts";
import type { Crypto, Signer } from "../crypto.ts";
import { ENVELOPE_PAYLOAD_BYTES_MAX, zEnvelope, type Envelope } from "./parts.ts";
import { ParsedDocuments } from "./parsed-documents.ts";
import type { Kind, Payload } from "./schemas.ts";
import { READ_TYPES, payloadType, schemaOf } from "./table.ts";
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

/** A document of one of these kinds, narrowed by `kind`. */
type DocumentOf<K extends Kind> = { [P in K]: SignedDocument<P> }[K];
export type AnyDocument = DocumentOf<Kind>;

/** Narrows a document to one kind. */
export function isOfKind<K extends Kind>(document: { kind: Kind }, kind: K): document is SignedDocument<K> {
  return document.kind === kind;
}

export function signDocument<K extends Kind>(crypto: Crypto, signer: Signer, kind: K, payload: Payload<K>): SignedDocument<K> {
  const parsed = schemaOf(kind).parse(payload);
  const bytes = canonicalBytes(parsed);
  const type = payloadType(kind);
  const encoding = preAuthEncoding(type, bytes);
  const envelope: Envelope = {
    payloadType: type,
    payload: toBase64(bytes),
    signatures: [{ keyid: signer.publicKey, sig: toBase64(signer.sign(encoding)) }],
  };
  return { id: toHex(crypto.sha256(encoding)), kind, payload: parsed, keyid: signer.publicKey, envelope };
}

/** What one implementation of the cryptography found right says nothing of another. */
const parsed = new WeakMap<Crypto, ParsedDocuments<AnyDocument>>();

function parsedBy(crypto: Crypto): ParsedDocuments<AnyDocument> {
  let documents = parsed.get(crypto);
  if (!documents) parsed.set(crypto, (documents = new ParsedDocuments()));
  return documents;
}

type ParseResult<T> = { ok: true; document: T } | Refusal;

/** Untrusted value → a document whose signature is right for the key it names, or the first thing wrong with it. */
export function parseDocument(crypto: Crypto, untrusted: unknown): ParseResult<AnyDocument> {
  const envelope = zEnvelope.safeParse(untrusted);
  if (!envelope.success)
    return refuse("bad_envelope", { path: envelope.error.issues[0]?.path.join(".") ?? "", why: envelope.error.issues[0]?.message ?? "" });
  const { payloadType: type, payload, signatures } = envelope.data;
  const read = READ_TYPES.get(type);
  if (!read) return refuse("unknown_kind", { payloadType: type.slice(0, 100) });
  const before = parsedBy(crypto);
  const again = before.of(envelope.data);
  if (again) return { ok: true, document: again };
  const { kind, schema } = read;
  const bytes = fromBase64(payload);
  const signature = fromBase64(signatures[0].sig);
  if (!bytes || !signature) return refuse("bad_envelope", { path: bytes ? "signatures.0.sig" : "payload", why: "must be base64" });
  if (bytes.length > ENVELOPE_PAYLOAD_BYTES_MAX) return refuse("body_too_large", { bytesMax: ENVELOPE_PAYLOAD_BYTES_MAX });
  const value = parseCanonical(bytes);
  if (value === null) return refuse("not_canonical", { kind });
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const unknown = issue?.code === "unrecognized_keys" ? issue.keys : [];
    return refuse("bad_payload", { kind, path: [...(issue?.path ?? []), ...unknown].join("."), why: issue?.message ?? "" });
  }
  const encoding = preAuthEncoding(type, bytes);
  if (!crypto.verify(signatures[0].keyid, encoding, signature)) return refuse("bad_signature", { kind });
  const document = documentOf(kind, toHex(crypto.sha256(encoding)), parsed.data, signatures[0].keyid, envelope.data);
  before.keep(document);
  return { ok: true, document };
}

/** A payload that its kind's schema gave, as a document of that kind. */
function documentOf<K extends Kind>(kind: K, id: string, payload: Payload<K>, keyid: string, envelope: Envelope): DocumentOf<K> {
  return { id, kind, payload, keyid, envelope };
}

/** As parseDocument, and of one kind. */
export function parseDocumentOf<K extends Kind>(crypto: Crypto, kind: K, untrusted: unknown): ParseResult<SignedDocument<K>> {
  const parsed = parseDocument(crypto, untrusted);
  if (!parsed.ok) return parsed;
  const { document } = parsed;
  return isOfKind(document, kind) ? { ok: true, document } : refuse("unknown_kind", { expected: kind, got: document.kind });
}

/** The same words, signed by the same key: an id is of the words alone, and says nothing of who signed them. */
export function isSameSigned(crypto: Crypto, untrusted: unknown, { id, keyid }: SignedDocument): boolean {
  const parsed = parseDocument(crypto, untrusted);
  return parsed.ok && parsed.document.id === id && parsed.document.keyid === keyid;
}
