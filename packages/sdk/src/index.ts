export { MarketClient, RefusedError, fetchMarket, type ReadName } from "./client.ts";
export { openLink } from "./connect.ts";
export { fingerprintOf, identityOf, pinsOf, type Identity } from "./identity.ts";
export { buildJob, type BuiltJob, type JobInput } from "./job.ts";
export { checkBound, fetchBound, quoteFor, signOrder, type BoundOrder, type Quoted, type Wanted } from "./order.ts";
export { LeaseSession, type Delivered, type SessionHandlers, type Stream } from "./lease-session.ts";
export { fetchReceipt } from "./receipt.ts";
export { bytesBlob, fileBlob, readTree, writeTree, type Blob, type SourceEntry } from "./tree.ts";
export { PYTHON, runtimeBlob } from "./runtimes.ts";
