/**
 * xenocorp.toml: how a market's operator runs this broker. Every key but the log's level is an option of `xeno broker` too, which holds
 * over it. Who controls the inputs: the operator.
 */
import path from "node:path";
import { parseDuration, parseMib } from "@xenoservers/market";
import { assertStillThere, differing, readSettings } from "@xenoservers/protocol/settings-file";
import { z } from "zod";
import { callers } from "../http/caller.ts";
import { ANY_PAGE } from "../http/pages.ts";

const PORT_MAX = 65_535;
const MEMORY_MIB_MIN = 1;
const MEMORY_MIB_MAX = 1024 * 1024;
const HOUR_MS = 3_600_000;
/** Nobody who reads or repeats what is going on may find it gone. */
const KEPT_LEAST = { ms: HOUR_MS, says: "1h" } as const;
/** Nobody who has to do with a lease may find it there. */
const ARCHIVED_LEAST = { ms: 24 * HOUR_MS, says: "1d" } as const;
const LEVELS = ["fatal", "error", "warn", "info", "debug", "trace", "silent"] as const;

const saying = (says: string) => ({ error: says });

const PORT = saying(`write a port from 0 to ${PORT_MAX}; 0 is any free one`);
const zPort = z.int(PORT).min(0, PORT).max(PORT_MAX, PORT);

const HOST = saying('write an address or a name to listen on, such as "127.0.0.1"');
const zHost = z.string(HOST).regex(/^[^\s/]{1,255}$/, HOST);

const HOST_PORT = saying('write an address and a port, such as "10.0.0.5:7401"');
const zHostPort = z.string(HOST_PORT).transform((text, context) => {
  const [, bracketed, plain, port] = /^(?:\[([0-9a-f:.]+)\]|([^:[\]/\s]+)):(\d{1,5})$/i.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || Number(port) > PORT_MAX) context.addIssue({ code: "custom", message: HOST_PORT.error });
  return { host: host ?? "", port: Number(port) };
});

function zDuration({ ms: least, says }: { ms: number; says: string }) {
  return z.string(saying('write a duration with its unit, such as "30d" or "12h"')).transform((text, context) => {
    const ms = parseDuration(text);
    if (ms === null) context.addIssue({ code: "custom", message: 'write a duration with its unit, such as "30d" or "12h"' });
    else if (ms < least) context.addIssue({ code: "custom", message: `it is too short: at least "${says}"` });
    return ms ?? 0;
  });
}

const MEMORY = 'write a size with its unit, such as "256M" or "1G"';
const zMemory = z.string(saying(MEMORY)).transform((text, context) => {
  const mib = /[MGT]/i.test(text) ? parseMib(text) : null;
  if (mib === null || mib < MEMORY_MIB_MIN || mib > MEMORY_MIB_MAX) context.addIssue({ code: "custom", message: MEMORY });
  return mib ?? 0;
});

const PROXIES = saying('write a list of addresses or subnets, such as ["10.0.0.7"]');
const zProxies = z.array(z.string(PROXIES), PROXIES).superRefine((proxies, context) => {
  try {
    callers(proxies);
  } catch (error) {
    context.addIssue({ code: "custom", message: (error as Error).message });
  }
});

const PAGES = saying('write a list of origins of web pages, such as ["https://app.example"], or ["*"] for any');
const isOrigin = (text: string): boolean => URL.canParse(text) && /^https?:/.test(text) && new URL(text).origin === text;
const zPages = z.array(
  z.string(PAGES).refine((text) => text === ANY_PAGE || isOrigin(text), PAGES),
  PAGES,
);

const NAME = saying("write a name of at most 64 letters, digits, dots and -");
const FOLDER = saying("write the path of a folder");
const FILE = saying("write the path of a file");
const zFile = z.string(FILE).min(1, FILE);

const SHAPE = {
  /** Of a new market. */
  name: z
    .string(NAME)
    .regex(/^[A-Za-z0-9.-]{1,64}$/, NAME)
    .optional(),
  host: zHost.default("127.0.0.1"),
  port: zPort.default(7400),
  metrics_port: zPort.optional(),
  metrics_host: zHost.default("127.0.0.1"),
  trust_proxy: zProxies.default([]),
  pages: zPages.default([]),
  /** Whether it serves the market's page. */
  dashboard: z.boolean(saying("write true or false")).default(true),
  memory: zMemory.prefault("256M"),
  inner: zHostPort.prefault("127.0.0.1:0"),
  inner_as: zHostPort.optional(),
  nats: zHostPort.optional(),
  nats_credentials: zFile.optional(),
  nats_ca: zFile.optional(),
  keep_events: zDuration(KEPT_LEAST).prefault("30d"),
  keep_answers: zDuration(KEPT_LEAST).prefault("7d"),
  archive: z.string(FOLDER).min(1, FOLDER).optional(),
  archive_after: zDuration(ARCHIVED_LEAST).prefault("90d"),
  log_level: z.enum(LEVELS, saying(`write one of ${LEVELS.join(", ")}`)).default("info"),
};

const zSettings = z.strictObject(SHAPE);
export type BrokerSettings = z.output<typeof zSettings>;
export const SETTINGS_KEYS: readonly string[] = Object.keys(SHAPE);

/** What a running broker can take over; the rest is made with it. */
export const LIVE_KEYS = ["keep_events", "keep_answers", "archive_after", "log_level"] as const satisfies readonly (keyof BrokerSettings)[];
const isLive = (key: string): boolean => LIVE_KEYS.some((each) => each === key);

const PATHS = ["archive", "nats_credentials", "nats_ca"] as const satisfies readonly (keyof BrokerSettings)[];

/** Options whose words are what the file would hold: they are read by the same rule. */
const TYPED_ALIKE = {
  name: "--name",
  host: "--host",
  metrics_host: "--metrics-host",
  trust_proxy: "--trust-proxy",
  pages: "--page",
} as const;

function assertTyped(typed: Partial<BrokerSettings>): void {
  for (const [key, option] of Object.entries(TYPED_ALIKE)) {
    const value: unknown = Reflect.get(typed, key);
    const problem = value === undefined ? undefined : SHAPE[key as keyof typeof TYPED_ALIKE].safeParse(value).error;
    if (problem) throw new Error(`${option} ${[value].flat().join(" ")}: ${problem.issues[0]?.message ?? "it cannot be read"}`);
  }
}

/** What was typed holds over what stands in the file; a path there is meant from where the file lies. */
async function settingsIn(file: string, typed: Partial<BrokerSettings>): Promise<BrokerSettings> {
  assertTyped(typed);
  const read = await readSettings(zSettings, SETTINGS_KEYS, file);
  const from = path.dirname(file);
  const paths = Object.fromEntries(PATHS.flatMap((key) => (read[key] === undefined ? [] : [[key, path.resolve(from, read[key])]])));
  const all = { ...read, ...paths, ...typed };
  const isIdle = all.nats === undefined && (all.nats_credentials ?? all.nats_ca) !== undefined;
  if (isIdle) throw new Error(`${file}: nats_credentials and nats_ca are for a NATS server, and nats names none`);
  return all;
}

interface SettingsReread {
  /** Keys that have another value now. */
  changed: string[];
  /** Keys whose new value holds from the broker's next start on. */
  later: string[];
}

interface OpenSettings {
  readonly now: BrokerSettings;
  /** Throws what is wrong with the file, and nothing has changed then. */
  reread(): Promise<SettingsReread>;
}

export async function openBrokerSettings(file: string, typed: Partial<BrokerSettings>): Promise<OpenSettings> {
  let now = await settingsIn(file, typed);
  return {
    get now() {
      return now;
    },
    async reread() {
      await assertStillThere(file);
      const next = await settingsIn(file, typed);
      const all = differing(now, next);
      const live = Object.fromEntries(LIVE_KEYS.map((key) => [key, next[key]]));
      now = { ...now, ...live };
      return { changed: all.filter(isLive), later: all.filter((key) => !isLive(key)) };
    },
  };
}
