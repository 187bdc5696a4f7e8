/** The broker's parts for programs that wire them otherwise than main.ts does: the simulation. */
export { Desk } from "./desk/desk.ts";
export { OfferIndex } from "./desk/offer-index.ts";
export type { Services } from "./desk/round.ts";
export { LinkHub } from "./http/link-hub.ts";
export { createReads, type Reads } from "./http/reads.ts";
export { Sessions, type PartySession, type Session } from "./http/sessions.ts";
export { createHttpServer } from "./http/server.ts";
export { createWrites } from "./http/writes.ts";
export type { Handlers, Upload } from "./http/handlers.ts";
export { Credentials } from "./desk/credentials.ts";
export { LogView } from "./log/log-view.ts";
export { openLog, sequence, startEpoch } from "./log/sequencer.ts";
export { dropOld } from "./loops/retention.ts";
export { createMemoryStore } from "./store/memory.ts";
export type { Change, LeaseRow, Store } from "./store/store.ts";
export { MARKET_DEFAULTS, PROTOCOL_RANGE, type BrokerKeys, type MarketConfig } from "./config.ts";
export type { FiledEnvelope } from "./desk/outcome.ts";
export { describeMarket } from "./desk/market-info.ts";
