/** `xeno events`: what happened to the party's leases, durably and in order. */
import type { EventView } from "@xenoservers/protocol";
import { eventsOf, shortId } from "@xenoservers/sdk";
import { openClient } from "../input/client.ts";
import type { EventsInput } from "../input/verbs/lease.ts";
import { print, printJson } from "../output/terminal.ts";
import { putTimesAs, when } from "../output/ui.ts";

function show(event: EventView, json: boolean): void {
  if (json) return printJson(event);
  print(`${event.cursor}  ${when(event.at)}  ${event.kind}  ${event.lease ? shortId(event.lease) : ""}  ${JSON.stringify(event.data)}`);
}

export async function events({ follow: keep, after, timeFormat, json }: EventsInput): Promise<void> {
  putTimesAs(timeFormat);
  const { client } = await openClient("read");
  const until = keep ? { until: new AbortController().signal } : {}; // a signal that is never given: the terminal ends it
  for await (const event of eventsOf(client, { after, ...until })) show(event, json);
}
