/** `broker-program.ts FOLDER PORT`: `xeno broker`, but patient, and quick to notice who hangs, for programs of a test that are killed and may be slow to come back. */
import { startBroker } from "@xenoservers/xenocorp";
import { ownFolder } from "../../packages/cli/src/local/local-socket.ts";
import { PATIENT } from "./settings.ts";

const [folder, port] = process.argv.slice(2) as [string, string];
const facts: Record<string, unknown> = {};
const lock = await ownFolder(folder, "a broker", async () => facts);
const broker = await startBroker({
  dataFolder: folder,
  port: Number(port),
  market: { timings: PATIENT },
  beat: { everyMs: 250, missedMax: 8 },
});
facts["url"] = broker.url;
console.log(JSON.stringify({ url: broker.url }));
process.once("SIGTERM", () => {
  lock.close();
  void broker.close();
});
