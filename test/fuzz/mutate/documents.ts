/** Signed documents bent where it is seen only behind their signatures: the payload is changed, written canonically, and signed again. */
import { canonicalBytes, fromBase64, preAuthEncoding, toBase64, utf8, type Signer } from "@xenoservers/protocol";
import { createSigner } from "@xenoservers/protocol/node";
import type { Random } from "../../../packages/testkit/src/random.ts";
import { bytesOf, textOf } from "../target.ts";
import { bentJson, bendTree, written, type Tree } from "./json.ts";

export interface Signed {
  payloadType: string;
  payload: string;
  signatures: [{ keyid: string; sig: string }];
}

const STRANGER = createSigner(new Uint8Array(32).fill(7));

const isSigned = (tree: unknown): tree is Signed =>
  typeof tree === "object" && tree !== null && "payloadType" in tree && "payload" in tree && "signatures" in tree;

/** Every envelope in a tree. */
function envelopesIn(tree: unknown, found: Signed[] = []): Signed[] {
  if (isSigned(tree)) found.push(tree);
  else if (typeof tree === "object" && tree !== null) for (const part of Object.values(tree)) envelopesIn(part, found);
  return found;
}

const payloadOf = ({ payload }: Signed): Tree => JSON.parse(Buffer.from(fromBase64(payload) ?? []).toString("utf8"));

/** As canonical as it can be written: what cannot goes as plain JSON. */
function bytesOfPayload(tree: Tree): Uint8Array {
  try {
    return canonicalBytes(JSON.parse(written(tree)));
  } catch (error) {
    if (error instanceof RangeError) return utf8("{}");
    return utf8(written(tree));
  }
}

function bendEnvelope(envelope: Signed, random: Random, signers: ReadonlyMap<string, Signer>): void {
  let payload = payloadOf(envelope);
  for (let left = random.between(1, 2); left > 0; left--) payload = bendTree(payload, random, [payload]);
  const bytes = bytesOfPayload(payload);
  envelope.payload = toBase64(bytes);
  const [signature] = envelope.signatures;
  const signer = random.chance(0.9) ? (signers.get(signature.keyid) ?? STRANGER) : STRANGER;
  envelope.signatures = [{ keyid: signer.publicKey, sig: toBase64(signer.sign(preAuthEncoding(envelope.payloadType, bytes))) }];
}

/** `signers`: whose keys are known, by key. */
export const bentDocuments =
  (signers: ReadonlyMap<string, Signer>) =>
  (input: Uint8Array, random: Random, others: readonly Uint8Array[]): Uint8Array => {
    if (random.chance(0.5)) return bentJson(input, random, others);
    const tree: unknown = JSON.parse(textOf(input));
    const envelopes = envelopesIn(tree);
    try {
      if (envelopes.length > 0) bendEnvelope(random.pick(envelopes), random, signers);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error; // as in bentJson
    }
    const bytes = bytesOf(JSON.stringify(tree));
    return random.chance(0.3) ? bentJson(bytes, random, others) : bytes;
  };
