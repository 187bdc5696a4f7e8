/** The customer's side where there is no file system: what a page has. */
export * from "./common.ts";
export { Market, type ConnectOptions } from "./page/market.ts";
