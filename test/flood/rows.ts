import type { Row } from "./row.ts";
import { channelOpens } from "./rows/channel-opens.ts";
import { deafCustomer } from "./rows/deaf-customer.ts";
import { eventStreams } from "./rows/event-streams.ts";
import { halfBodies } from "./rows/half-bodies.ts";
import { halfHeaders } from "./rows/half-headers.ts";
import { halfMessages } from "./rows/half-messages.ts";
import { links } from "./rows/links.ts";
import { pings } from "./rows/pings.ts";
import { requests } from "./rows/requests.ts";
import { submits } from "./rows/submits.ts";

/** Each row by the name that it is asked for by. */
export const ROWS: Readonly<Record<string, Row>> = {
  ...{ "deaf-customer": deafCustomer, pings, "channel-opens": channelOpens, submits, links, requests },
  ...{ "event-streams": eventStreams, "half-messages": halfMessages, "half-bodies": halfBodies, "half-headers": halfHeaders },
};
