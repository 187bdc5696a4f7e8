/** How a server stands with its broker, in its owner's words. Who controls the input: the broker. */
import { clockWords } from "@xenoservers/market";
import { visible, type ServerStanding } from "@xenoservers/protocol";
import { countOf, when } from "./ui.ts";

function restsWords({ conduct: { coolUntil, misses, reason, together } }: ServerStanding): string {
  const whose = together ? " by all servers of its owner" : "";
  const last = reason === null ? "" : `, the last one: ${visible(reason)}`;
  return `it rests until ${when(coolUntil)}, after ${countOf(misses, "order")} missed in a row${whose}${last}`;
}

const SAYS: { readonly [R in ServerStanding["why"][number]]: (standing: ServerStanding) => string } = {
  offline: () => "the broker does not see it connected",
  not_listed: () => "it has no offer there: it is drained, outside its hours, or has just begun",
  expired: () => "its offer has run out and was not renewed",
  clock_off: ({ clock }) => `its clock was ${clock ? clockWords(clock) : "off"} when it logged in`,
  cooling: restsWords,
  suspended: () => "its owner is suspended: ask the market's operator",
  full: () => "all that it gives is leased",
  judging_only: () => "it is a referee: it gets judging orders alone",
};

export function standingLines(standing: ServerStanding): string[] {
  const { why, allowedParties, record } = standing;
  const some = allowedParties > 0 ? " of the parties that it names" : "";
  const { leases, completed, ownerFailures, missed, convicted } = record;
  const ended = `${completed} completed, ${ownerFailures} failed, ${missed} missed, ${convicted} convicted`;
  return [
    ...why.map((rest) => `no orders: ${SAYS[rest](standing)}`),
    ...(why.length === 0 ? [`the broker offers it for orders${some}`] : []),
    `its owner's record: ${countOf(leases, "lease")}, ${ended}`,
  ];
}
