/** Leases among a verb's words, each by the first letters of its id. */
import { parseLease, parseLeaseOrFile } from "./parse.ts";
import { wordAs, wordsAs, type Word } from "./verb.ts";

export const leaseWord: Word<string> = wordAs(parseLease);
export const leaseWords: Word<string[]> = wordsAs(parseLease);
export const leaseOrFileWord: Word<string> = wordAs(parseLeaseOrFile);
