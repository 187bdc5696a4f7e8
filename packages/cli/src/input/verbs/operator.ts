import { parseAmount, parseDurationMs, parsePercent } from "@xenoservers/sdk";
import { countTo, durationFrom, parseHostPort, parseParty, parsePort, parseServer, parseTime, parseWitness } from "../parse.ts";
import {
  choiceOr,
  data,
  flag,
  inputOf,
  json,
  many,
  needed,
  negation,
  rest,
  text,
  textOr,
  value,
  valueOr,
  word,
  wordAs,
  type InputOf,
} from "../verb.ts";

const PROBES_MAX = 1_000;
/** Nobody who reads or repeats what is going on may find it gone. */
const KEPT_MS_MIN = 3_600_000;
const parseKept = durationFrom(KEPT_MS_MIN, "1h");
/** Nobody who has to do with a lease may find it there. */
const ARCHIVED_MS_MIN = 86_400_000;
const parseArchived = durationFrom(ARCHIVED_MS_MIN, "1d");
const MEMORY_MIB_MAX = 1024 * 1024;

/** What is not typed is as xenocorp.toml says, or has the default that is named here. */
export const brokerInput = inputOf(
  {},
  {
    config: text("--config <file>", "settings (default: xenocorp.toml in the data folder)"),
    host: text("--host <address>", "listen on (default: 127.0.0.1)"),
    port: value("--port <port>", "listen on (default: 7400)", parsePort),
    metricsPort: value("--metrics-port <port>", "Prometheus' metrics at /metrics on a port of their own (default: none)", parsePort),
    metricsHost: text("--metrics-host <address>", "listen on for metrics (default: 127.0.0.1)"),
    name: text("--name <name>", "of a new market (default: market.local)"),
    trustProxy: many("--trust-proxy <address>", "a proxy in front of it, or its subnet, that says who calls; again for each"),
    page: many("--page <origin>", "of a web page that may use this broker from a browser, or '*' (default: none); again for each"),
    noDashboard: negation("--no-dashboard", "serve no page that can rent at this address (by default there is one)"),
    memory: value("--memory <mib>", "for all that is buffered for others (default: 256)", countTo(MEMORY_MIB_MAX)),
    keepEvents: value("--keep-events <duration>", "how long events can be read (default: 30d)", parseKept),
    keepAnswers: value("--keep-answers <duration>", "how long a repeated document is answered as before (default: 7d)", parseKept),
    archive: text("--archive <folder>", "where leases go that are long over (default: they stay in the database)"),
    archiveAfter: value("--archive-after <duration>", "how long after the last that was said of them (default: 90d)", parseArchived),
    inner: value("--inner <host:port>", "listen for the market's other brokers on (default: 127.0.0.1:0)", parseHostPort),
    innerAs: value("--inner-as <host:port>", "where they reach it, if not there", parseHostPort),
    nats: value("--nats <host:port>", "a NATS server that carries hints between them (default: the database does)", parseHostPort),
    natsCredentials: text("--nats-credentials <file>", "what it is shown: an nkey's seed, a .creds file or USER:PASSWORD, mode 0600"),
    natsCa: text("--nats-ca <file>", "whose certificates it is known by; nothing is said to it without TLS then"),
    ...{ json, data },
  },
);
export type BrokerInput = InputOf<typeof brokerInput>;
const archive = text("--archive <folder>", "the market's archive: its receipts are in the backup too (default: the settings')");
export const brokerBackupInput = inputOf({ file: word }, { replace: flag("--replace", "where there is such a file"), archive, data });
export type BrokerBackupInput = InputOf<typeof brokerBackupInput>;
export const brokerRestoreInput = inputOf({ file: word }, { archive, data });
export type BrokerRestoreInput = InputOf<typeof brokerRestoreInput>;
export const brokerRereadInput = inputOf({}, { json, data });
export type BrokerRereadInput = InputOf<typeof brokerRereadInput>;
export const brokerCheckInput = inputOf({}, { archive, json, data });
export type BrokerCheckInput = InputOf<typeof brokerCheckInput>;
export const brokerOverviewInput = inputOf({ url: word }, { json, data });
export type BrokerOverviewInput = InputOf<typeof brokerOverviewInput>;

export const creditInput = inputOf(
  { party: wordAs(parseParty), amount: wordAs(parseAmount) },
  {
    reference: textOr("--reference <text>", "what names the payment; it counts once", ""),
    source: choiceOr("--source <source>", "", ["operator", "card", "bank"], "operator"),
    data,
  },
);
export type CreditInput = InputOf<typeof creditInput>;
export const suspendInput = inputOf(
  { party: wordAs(parseParty) },
  { reason: needed("--reason <text>", "said in the public log"), lift: flag("--lift", "let it back in"), data },
);
export type SuspendInput = InputOf<typeof suspendInput>;
export const refereeInput = inputOf({ server: wordAs(parseServer) }, { remove: flag("--remove", "no more"), data });
export type RefereeInput = InputOf<typeof refereeInput>;
export const feeInput = inputOf(
  { part: wordAs(parsePercent) },
  { from: value("--from <time>", "when it begins to hold; a rise needs 24 h of notice (default: as soon as it may)", parseTime), data },
);
export type FeeInput = InputOf<typeof feeInput>;
export const brokerProbeInput = inputOf(
  { servers: rest },
  {
    count: valueOr("--count <n>", "so many orders for each", "1", countTo(PROBES_MAX)),
    within: valueOr("--within <duration>", "at random times in it", "1h", parseDurationMs),
    ...{ json, data },
  },
);
export type BrokerProbeInput = InputOf<typeof brokerProbeInput>;
export const brokerWitnessInput = inputOf({ witness: wordAs(parseWitness) }, { remove: flag("--remove", "no more"), data });
export type BrokerWitnessInput = InputOf<typeof brokerWitnessInput>;
