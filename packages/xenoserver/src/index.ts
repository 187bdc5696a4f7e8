export { XenoServer, type Listing, type ServerOptions } from "./server.ts";
export { LeaseRunner, type RunnerWorld } from "./lease-runner.ts";
export type { GuestDriver, GuestEnding, GuestToken, PreparedJob, RunningGuest } from "./driver.ts";
export { openJournal, type Journal, type LeaseRecord } from "./journal.ts";
export { createWasmDriver } from "./wasm-driver.ts";
export { capacityOf, isListedAt, parseServerConfig, priceOf, readServerConfig, type ServerConfig } from "./config.ts";
export { selfTest, type SelfTest } from "./self-test.ts";
export { enrol, readIdentity, startDaemon, type Daemon, type DaemonOptions, type ServerIdentity } from "./daemon.ts";
export { CHEATS, cheatingDriver } from "./cheats.ts";
