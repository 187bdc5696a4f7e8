/** What a program uses of a browser. */
import type { Ask } from "./system.ts";

export { webCrypto as systemCrypto, createSigner, startSha256 } from "./web-crypto.ts";
export { webChannelCrypto as channelCrypto } from "./web-channel-crypto.ts";
export type { Answer, Question, RunningHash } from "./system.ts";

export const ask: Ask = (url, question) => fetch(url, question);
