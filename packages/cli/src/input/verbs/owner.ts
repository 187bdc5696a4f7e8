import { countTo, parseMoveTarget, parsePort, parseTime } from "../parse.ts";
import { data, flag, inputOf, json, text, value, word, type InputOf } from "../verb.ts";

export const serveInput = inputOf(
  {},
  {
    enrol: text("--enrol <token>", "join with a token from `xeno token create --server`"),
    enroll: text("--enroll <token>", "same"),
    config: text("--config <file>", "xenoserver.toml"),
    check: flag("--check", "show what strangers could reach; list nothing"),
    install: flag("--install", "write a hardened systemd unit"),
    metricsPort: value("--metrics-port <port>", "Prometheus' metrics at /metrics there, on this machine alone (default: none)", parsePort),
    ...{ json, data },
  },
);
export type ServeInput = InputOf<typeof serveInput>;
export const serverInput = inputOf({}, { json, data });
export type ServerInput = InputOf<typeof serverInput>;
export const serverDrainInput = inputOf(
  {},
  {
    undo: flag("--undo", "take leases again"),
    to: value("--to <id@host:port>", "hand running leases over to another server of yours, where it has [move] listen", parseMoveTarget),
    ...{ json, data },
  },
);
export type ServerDrainInput = InputOf<typeof serverDrainInput>;
export const serverStopInput = inputOf({}, { now: flag("--now", "end running leases at your cost"), json, data });
export const abuseTraceInput = inputOf(
  { address: word },
  {
    at: value("--at <time>", "when, as the complaint says it (ISO 8601)", parseTime),
    fromPort: value("--from-port <port>", "of this machine, as the other side saw it", countTo(65_535)),
    ...{ json, data },
  },
);
export type AbuseTraceInput = InputOf<typeof abuseTraceInput>;
