/**
 * What a lease runs, as its customer brought it: one member of the union per way of bringing it. Which driver reads which is the drivers'
 * own word (`problemWith`). Who controls the inputs: the customer, every field.
 */
import type { ChannelHeader } from "@xenoservers/protocol/channel";

type Brought<T extends ChannelHeader["t"]> = Omit<Extract<ChannelHeader, { t: T }>, "t">;
/** A module with its arguments and inputs; or, for disputes, one segment of it. */
export type WasmJob = Brought<"job">;
/** A virtual machine with its images and inputs. */
export type MachineJob = Brought<"vm">;

export type Work = { kind: "wasm"; job: WasmJob } | { kind: "machine"; vm: MachineJob };

/** The channel's messages that bring work. */
export type WorkHeader = Extract<ChannelHeader, { t: "job" | "vm" }>;

export const bringsWork = (header: ChannelHeader): header is WorkHeader => header.t === "job" || header.t === "vm";

export function workOf(header: WorkHeader): Work {
  if (header.t === "job") {
    const { t: _, ...job } = header;
    return { kind: "wasm", job };
  }
  const { t: _, ...vm } = header;
  return { kind: "machine", vm };
}

/** The same, as its customer brought it. */
export const headerOf = (work: Work): WorkHeader => (work.kind === "wasm" ? { t: "job", ...work.job } : { t: "vm", ...work.vm });

/** What was brought, whichever driver reads it. */
export const broughtBy = (work: Work): WasmJob | MachineJob => (work.kind === "wasm" ? work.job : work.vm);
