export { collected } from "./collected.ts";
export { SimClock } from "./clock.ts";
export { Random } from "./random.ts";
export { Network } from "./network.ts";
export { audit, auditQuiet, type Snapshot } from "./auditor.ts";
export { PAPER_PRICE, PaperMarket, type Own, type PaperParty, type PaperServer } from "./paper-market.ts";
export { headerOf, paxOf, summed, type Part } from "./tar-parts.ts";
