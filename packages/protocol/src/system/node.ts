/** What a program uses of Node. */
import { createHash } from "node:crypto";
import type { RunningHash } from "./system.ts";

export { nodeCrypto as systemCrypto, createSigner } from "../node-crypto.ts";
export { nodeChannelCrypto as channelCrypto } from "./node-channel-crypto.ts";
export { nodeAsk as ask } from "./node-ask.ts";
export type { Answer, Question, RunningHash } from "./system.ts";

export function startSha256(): RunningHash {
  const hash = createHash("sha256");
  return { update: (bytes) => void hash.update(bytes), digest: () => hash.copy().digest() };
}
