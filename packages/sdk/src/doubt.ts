/** Which documents doubt a result. */
import { KIND_TABLE, type Kind } from "@xenoservers/protocol";

/** Whether such a document doubts what a lease came to: a party alone signs it, within a dispute. */
export const isDoubt = (kind: Kind): boolean => KIND_TABLE[kind].signers.some((rule) => rule.by === "party" && rule.scope === "dispute");
