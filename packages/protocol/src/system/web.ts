/** What a program uses of a browser. */
export { webCrypto as systemCrypto, createSigner, startSha256 } from "./web-crypto.ts";
export { webChannelCrypto as channelCrypto } from "./web-channel-crypto.ts";
export type { RunningHash } from "./system.ts";
