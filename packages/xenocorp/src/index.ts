export { startBroker, openStore, VERSION, type Broker, type BrokerOptions } from "./main.ts";
export { loadBrokerKeys } from "./broker-keys.ts";
export { backup, check, restore } from "./backup.ts";
