/**
 * A guest's questions for names (DNS, RFC 1035), answered for addresses of version 4. Who controls the inputs: the guest, every byte of a
 * question.
 */
import packet from "dns-packet";

const TTL_S = 60;
const HEADER_BYTES = 12;
/** Of a name and what stands behind it, at the least. */
const QUESTION_BYTES = 5;
const RECORD_BYTES = 11;
const CODES = { failed: 2, refused: 5 } as const;

/** `failed`: not now, where the look-up came to nothing or too many are under way. `refused`: never, for this guest. */
export type Found = string[] | keyof typeof CODES;

/**
 * Whether its header says one question (RFC 9619) and no more records than can stand in it: whoever reads it makes room for all that is
 * said, which is two megabytes for twelve bytes.
 */
function canHold(bytes: Buffer): boolean {
  if (bytes.length < HEADER_BYTES + QUESTION_BYTES || bytes.readUInt16BE(4) !== 1) return false;
  const records = [6, 8, 10].reduce((sum, at) => sum + bytes.readUInt16BE(at), 0);
  return records * RECORD_BYTES <= bytes.length - HEADER_BYTES - QUESTION_BYTES;
}

/** The answer to send back; null where the bytes are no question. Never throws. */
export async function answerQuestion(
  bytes: Buffer,
  addressesOf: (name: string, wanted: boolean) => Promise<Found>,
): Promise<Buffer | null> {
  if (!canHold(bytes)) return null;
  try {
    const query = packet.decode(bytes);
    const question = query.questions?.[0];
    if (!question || query.type !== "query") return null;
    // labels with a dot in them, or with bytes that are no text, would stand in the answer as others
    const asked = packet.encode({ type: "query", questions: [question] }).subarray(HEADER_BYTES);
    if (!asked.equals(bytes.subarray(HEADER_BYTES, HEADER_BYTES + asked.length))) return null;
    const addresses = await addressesOf(question.name.toLowerCase(), question.type === "A");
    return packet.encode({
      type: "response",
      id: query.id ?? 0,
      flags: packet.RECURSION_DESIRED | packet.RECURSION_AVAILABLE | (typeof addresses === "string" ? CODES[addresses] : 0),
      questions: [question],
      answers: (typeof addresses === "string" ? [] : addresses).map((data) => ({
        type: "A" as const,
        name: question.name,
        ttl: TTL_S,
        data,
      })),
    });
  } catch {
    return null;
  }
}
