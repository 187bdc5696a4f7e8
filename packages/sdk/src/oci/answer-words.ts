/** What somebody says of a refusal, in words that a line may show. Who controls the input: the registry, or the place that gives tokens. */
import { visible } from "@xenoservers/protocol";
import * as z from "zod/mini";

/** Of what is read for the sake of its words. */
export const WORDS_BYTES_MAX = 64 * 1024;
const WORDS_MAX = 200;
/** Of what tells a page of HTML. */
const PAGE_BYTES = 200;
/** Of the distribution-spec (Error Codes), of Docker Hub's place for tokens, of OAuth (RFC 6749, 5.2). */
const zWords = z.union([
  z.pipe(
    z.object({ errors: z.array(z.object({ message: z.string() })).check(z.minLength(1)) }),
    z.transform(({ errors }) => errors[0]?.message ?? ""),
  ),
  z.pipe(
    z.object({ details: z.string() }),
    z.transform(({ details }) => details),
  ),
  z.pipe(
    z.object({ error_description: z.string() }),
    z.transform((error) => error.error_description),
  ),
]);

/** In brackets, with a space before them; empty where it says nothing that can be read. */
export function wordsIn(bytes: Uint8Array | null): string {
  try {
    const words = zWords.parse(JSON.parse(Buffer.from(bytes ?? []).toString("utf8")));
    return words === "" ? "" : ` (${visible(words.slice(0, WORDS_MAX))})`;
  } catch {
    return "";
  }
}

/** Whether it is HTML: somebody on the way, or the registry itself, has something to say to people. */
export const isPage = (bytes: Buffer): boolean =>
  /^\s*<(?:!doctype|html|head|body|\?xml|!--)/i.test(bytes.toString("latin1", 0, PAGE_BYTES));
