export { startBroker, openStore, type Broker, type BrokerOptions } from "./main.ts";
export { readBrokerKeys } from "./broker-keys.ts";
export { backup, check, restore } from "./backup.ts";
export { openBrokerSettings } from "./settings/broker-settings.ts";
