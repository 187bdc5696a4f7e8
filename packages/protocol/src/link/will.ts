/**
 * What a broker says of last wills, to anyone, before a link says one: a broker that knows no such message closes the link that has it.
 * Who controls the inputs: the broker.
 */
import * as z from "zod/mini";

/** Where it says so; a broker that knows nothing of wills has nothing there. */
export const LINK_WORDS_PATH = "/api/link.json";

/** `will.afterMs`: for so long nobody has said it again before it is filed. */
export const zLinkWords = z.looseObject({ will: z.looseObject({ afterMs: z.int().check(z.gte(1)) }) });
export type LinkWords = z.infer<typeof zLinkWords>;
