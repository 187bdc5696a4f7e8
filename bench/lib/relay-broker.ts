/** `relay-broker.ts FOLDER`: a broker whose door asks no tokens, so that a channel is as fast as its bytes are passed on. */
import { startBroker } from "@xenoservers/xenocorp";

const [dataFolder = ""] = process.argv.slice(2);
const { url } = await startBroker({ dataFolder, port: 0, requestsPerSecond: 1e9 });
console.log(url);
