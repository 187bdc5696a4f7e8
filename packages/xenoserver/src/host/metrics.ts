/**
 * What an owner's daemon counts, for Prometheus. What of its leases and its link is asked when somebody looks; refusals and faults are
 * counted as they are logged, so that nothing is logged that is not counted. Who controls the inputs: lines of the log are this program's,
 * the codes in them are of the market's closed table.
 */
import { isErrorCode } from "@xenoservers/protocol";
import { Counter, Gauge, Registry, collectDefaultMetrics } from "prom-client";
import type { XenoServer } from "../server.ts";

/** Gauges of the library's whose names say that they are counters, which `promtool check metrics` refuses. */
const MISNAMED = ["handles", "requests", "resources"].map((what) => `xeno_server_nodejs_active_${what}_total`);
const MIB = 1024 * 1024;

export interface Watched {
  state(): XenoServer["state"];
  /** When the broker was last heard, in ms of the same clock as `now`; null: not yet. */
  heardAt(): number | null;
  now(): number;
  /** What images and what was made of them take of the disk. */
  imageBytes(): Promise<number>;
  freeBytes(): Promise<number>;
}

interface ServerMetrics {
  registry: Registry;
  /** A line of the log. */
  logged(what: string, facts: Record<string, unknown>): void;
}

/** The code of a refusal; null: it is none. */
function refusalIn(what: string, { code }: Record<string, unknown>): string | null {
  if (typeof code === "string" && isErrorCode(code)) return code;
  return /\brefused$/.test(what) ? "unfit" : null;
}

export function createServerMetrics(watched: Watched): ServerMetrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry, prefix: "xeno_server_" });
  for (const name of MISNAMED) registry.removeSingleMetric(name);
  const refusals = new Counter({
    ...{ name: "xeno_server_refusals_total", help: "What was refused, by what and code", labelNames: ["what", "code"], registers },
  });
  const faults = new Counter({ name: "xeno_server_faults_total", help: "What failed, by what", labelNames: ["what"], registers });
  watchLeases(registry, watched);
  watchLink(registry, watched);
  watchDisk(registry, watched);
  return {
    registry,
    logged(what, facts) {
      const code = refusalIn(what, facts);
      if (code !== null) refusals.inc({ what, code });
      else if (facts["error"] !== undefined) faults.inc({ what });
    },
  };
}

function watchLeases(registry: Registry, { state }: Watched): void {
  const registers = [registry];
  new Gauge({
    ...{
      name: "xeno_server_leases",
      help: "Leases by stage; one that is over is kept for who may ask for it",
      labelNames: ["stage"],
      registers,
    },
    collect() {
      this.reset();
      for (const { stage } of state().leases) this.inc({ stage });
    },
  });
  new Gauge({
    ...{ name: "xeno_server_guests", help: "Guests that run", registers },
    collect() {
      this.set(state().leases.filter(({ stage }) => stage === "running" || stage === "stopping").length);
    },
  });
  const resources = [
    ["cpus", "Processors", "vcpu", 1],
    ["memory_bytes", "Memory", "memoryMib", MIB],
    ["disk_bytes", "Disk", "diskMib", MIB],
  ] as const;
  for (const [suffix, noun, key, unit] of resources)
    for (const kind of ["offered", "used"] as const)
      new Gauge({
        ...{
          name: `xeno_server_${kind}_${suffix}`,
          help: `${noun} ${kind === "offered" ? "that are offered" : "that leases hold"}`,
          registers,
        },
        collect() {
          this.set(state().capacity[kind][key] * unit);
        },
      });
}

function watchLink(registry: Registry, { state, heardAt, now }: Watched): void {
  const registers = [registry];
  new Gauge({
    ...{ name: "xeno_server_link_up", help: "1 while the broker has this server's link", registers },
    collect() {
      this.set(state().connected ? 1 : 0);
    },
  });
  new Gauge({
    ...{ name: "xeno_server_draining", help: "1 while no new leases are taken", registers },
    collect() {
      this.set(state().draining ? 1 : 0);
    },
  });
  new Gauge({
    ...{ name: "xeno_server_broker_silence_seconds", help: "Since the broker was last heard; absent before it was", registers },
    collect() {
      const at = heardAt();
      if (at === null) this.remove();
      else this.set(Math.max(0, now() - at) / 1_000);
    },
  });
}

function watchDisk(registry: Registry, { imageBytes, freeBytes }: Watched): void {
  const registers = [registry];
  for (const [name, help, bytes] of [
    ["xeno_server_image_cache_bytes", "What images, and disks built of them, take of the disk", imageBytes],
    ["xeno_server_disk_free_bytes", "Free where this server keeps its data", freeBytes],
  ] as const)
    new Gauge({
      ...{ name, help, registers },
      async collect() {
        const found = await bytes().catch(() => null);
        if (found === null) this.remove();
        else this.set(found);
      },
    });
}
