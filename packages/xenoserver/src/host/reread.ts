/**
 * xenoserver.toml read again by a running daemon: what can take effect does, and what is fixed when a daemon starts stays as it was and is
 * named. Who controls the inputs: the owner of the machine.
 */
import { differing } from "@xenoservers/protocol/settings-file";
import { SECTION_NAMES, type ServerConfig } from "./config-schema.ts";

/** Workers, machines and their gates are made with these. */
const FIXED_POLICY = ["egress_ports", "egress_allow", "egress_gib_month", "egress_mbit", "fetch_images"] as const;

export interface Reread {
  /** What holds from now on. */
  config: ServerConfig;
  /** Keys that have another value now. */
  changed: string[];
  /** Keys whose new value holds from the daemon's next start on. */
  later: string[];
}

export function planReread(before: ServerConfig, after: ServerConfig): Reread {
  const all = [
    ...SECTION_NAMES.flatMap((section) => differing(before[section], after[section]).map((key) => `${section}.${key}`)),
    ...(["pool", "warm", "drain_seconds"] as const).filter((key) => before[key] !== after[key]),
  ];
  const fixedKeys = new Set<string>(["pool", "warm", ...FIXED_POLICY.map((key) => `policy.${key}`)]);
  const isFixed = (key: string): boolean => fixedKeys.has(key) || /^(?:vm|xen|xapi|move)\./.test(key);
  const { egress_ports, egress_allow, egress_gib_month, egress_mbit, fetch_images } = before.policy;
  const { vm, xen, xapi, move, pool, warm } = before;
  const fixed = { vm, xen, xapi, move, pool, warm };
  const policy = { ...after.policy, egress_ports, egress_allow, egress_gib_month, egress_mbit, fetch_images };
  return {
    config: { ...after, policy, ...fixed },
    changed: all.filter((key) => !isFixed(key)),
    later: all.filter(isFixed),
  };
}
