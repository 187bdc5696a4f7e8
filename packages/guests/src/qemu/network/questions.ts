/**
 * A guest's questions for names (DNS, RFC 1035), answered for addresses of version 4. Who controls the inputs: the guest, every byte of a
 * question.
 */
import packet from "dns-packet";

const TTL_S = 60;
const CODES = { failed: 2, refused: 5 } as const;

/** `failed`: not now, where the look-up came to nothing or too many are under way. `refused`: never, for this guest. */
export type Found = string[] | keyof typeof CODES;

/** The answer to send back; null where the bytes are no question. Never throws. */
export async function answerQuestion(
  bytes: Buffer,
  addressesOf: (name: string, wanted: boolean) => Promise<Found>,
): Promise<Buffer | null> {
  try {
    const query = packet.decode(bytes);
    const question = query.questions?.[0];
    if (!question || query.type !== "query") return null;
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
    return null; // names that can be read but not written again are among them
  }
}
