/** `xeno broker overview`: the operator's view through the API. */
import type { BrokerOverviewInput } from "../input/verbs/operator.ts";
import { operatorAt } from "../local/operate.ts";
import { print, printJson } from "../output/terminal.ts";

export async function brokerOverview({ url, data, json }: BrokerOverviewInput): Promise<void> {
  const client = await operatorAt(url, data);
  const overview = await client.read("overview");
  if (json) return printJson(overview);
  for (const [key, value] of Object.entries(overview)) print(`${key.padEnd(22)} ${String(value)}`);
}
