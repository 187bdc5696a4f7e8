/** A broker's settings: what was typed, then what stands in xenocorp.toml. */
import path from "node:path";
import type { BrokerInput } from "../input/verbs/operator.ts";
import { configFileOf } from "./config-file.ts";

export type Program = typeof import("@xenoservers/xenocorp");
export type OpenSettings = Awaited<ReturnType<Program["openBrokerSettings"]>>;
export type BrokerSettings = OpenSettings["now"];
type Typed = Partial<Omit<BrokerInput, "json" | "data" | "config">>;

const resolved = (typed: string | null | undefined): string | null => (typed == null ? null : path.resolve(typed));

/** By the keys of the file, without what was not typed. */
function typedAs({ trustProxy = [], page = [], archive, natsCredentials, natsCa, noDashboard, ...typed }: Typed): Partial<BrokerSettings> {
  const { host, port, metricsPort, metricsHost, name, memory, keepEvents, keepAnswers, archiveAfter, inner, innerAs, nats } = typed;
  const all: { [K in keyof BrokerSettings]?: BrokerSettings[K] | null | undefined } = {
    ...{ host, port, name, memory, inner, metrics_port: metricsPort, metrics_host: metricsHost, inner_as: innerAs },
    ...{ keep_events: keepEvents, keep_answers: keepAnswers, archive_after: archiveAfter },
    ...{ nats, archive: resolved(archive), nats_credentials: resolved(natsCredentials), nats_ca: resolved(natsCa) },
    trust_proxy: trustProxy.length === 0 ? null : trustProxy,
    pages: page.length === 0 ? null : page,
    dashboard: noDashboard === true ? false : null,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value != null));
}

export async function brokerSettings(folder: string, config: string | null, typed: Typed = {}): Promise<OpenSettings> {
  const { openBrokerSettings } = await import("@xenoservers/xenocorp");
  return openBrokerSettings(await configFileOf(folder, "xenocorp.toml", config), typedAs(typed));
}
