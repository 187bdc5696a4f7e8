/**
 * A guest's questions for names (DNS, RFC 1035), answered for addresses of version 4. Who controls the inputs: the guest, every byte of a
 * question.
 */
import packet from "dns-packet";

const TTL_S = 60;
const REFUSED = 5;

/** The answer to send back; null where the bytes are no question. `addressesOf` says null for a name that is not allowed. Never throws. */
export async function answerQuestion(
  bytes: Buffer,
  addressesOf: (name: string, wanted: boolean) => Promise<string[] | null>,
): Promise<Buffer | null> {
  try {
    const query = packet.decode(bytes);
    const question = query.questions?.[0];
    if (!question || query.type !== "query") return null;
    const addresses = await addressesOf(question.name.toLowerCase(), question.type === "A");
    return packet.encode({
      type: "response",
      id: query.id ?? 0,
      flags: packet.RECURSION_DESIRED | packet.RECURSION_AVAILABLE | (addresses === null ? REFUSED : 0),
      questions: [question],
      answers: (addresses ?? []).map((data) => ({ type: "A" as const, name: question.name, ttl: TTL_S, data })),
    });
  } catch {
    return null; // names that can be read but not written again are among them
  }
}
