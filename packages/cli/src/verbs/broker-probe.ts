/** `xeno broker probe`: servers are tried by orders that look like any other, whose answers are known here. */
import { randomInt } from "node:crypto";
import { allOf, shortId } from "@xenoservers/sdk";
import type { BrokerProbeInput } from "../input/verbs/operator.ts";
import { operatorHere } from "../local/operate.ts";
import { print, printJson, red, say } from "../output/terminal.ts";
import { EXIT } from "../output/exit.ts";
import { UserError } from "../output/ui.ts";
import { probeTimesMs } from "../probe/plan.ts";
import { probeServer, type Probed } from "../probe/probe.ts";

const DRAWS = 2 ** 32;
const chance = (): number => randomInt(DRAWS) / DRAWS;

export async function brokerProbe({ servers, count, within, json, data }: BrokerProbeInput): Promise<void> {
  const operator = await operatorHere(data);
  const offers = await allOf(operator, "offers", {});
  const targets = servers.length === 0 ? offers : offers.filter(({ server }) => servers.some((word) => server.startsWith(word)));
  if (targets.length === 0) throw new UserError("none of these servers is listed now");
  const plans = targets.flatMap((target) => probeTimesMs(chance, count, within).map((afterMs) => ({ target, afterMs })));
  const began = Date.now();
  const probes: Probed[] = [];
  for (const { target, afterMs } of plans.sort((a, b) => a.afterMs - b.afterMs)) {
    await operator.sleep(Math.max(0, began + afterMs - Date.now()));
    const probed = await probeServer(operator, target, chance);
    probes.push(probed);
    if (probed.says === "wrong") process.exitCode = EXIT.xeno;
    const lease = probed.lease === null ? "" : `  lease ${shortId(probed.lease)}`;
    const line = `${shortId(probed.server)}  ${probed.says}: ${probed.why}${lease}`;
    if (!json) print(probed.says === "wrong" ? red(line) : line);
  }
  if (json) return printJson({ probes });
  say(`${probes.length} probes of ${targets.length} servers`);
}
