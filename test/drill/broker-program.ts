/** `broker-program.ts FOLDER PORT DATABASE_URL`: one of the drill's brokers. */
import { startBroker } from "@xenoservers/xenocorp";
import { pino } from "pino";
import { DRILL_TIMINGS } from "./setting.ts";

const [dataFolder = "", port = "", databaseUrl = ""] = process.argv.slice(2);
const logger = pino({ level: process.env["LOG_LEVEL"] ?? "fatal" }, pino.destination(2));
const broker = await startBroker({ dataFolder, port: Number(port), databaseUrl, market: { timings: DRILL_TIMINGS }, logger });
console.log(JSON.stringify({ url: broker.url }));
process.once("SIGTERM", () => void broker.close());
