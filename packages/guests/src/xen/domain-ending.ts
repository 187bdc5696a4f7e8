/**
 * How a domain ended, read from what is left of it. Who controls the inputs: the guest (its last words, an image's answer), whoever
 * administers the host.
 */
import { guestTextEnd } from "../guest-files.ts";
import { bootOfHost } from "../qemu/machine/gone.ts";
import { overlayLost, type Overlay } from "./disk-overlay.ts";
import { CONSOLE_LOG } from "./domain-console.ts";
import { endOfShutdown, type DomainEnd } from "./domain-end.ts";
import { endOfImage } from "./domain-image.ts";
import type { DomainStreams } from "./domain-streams.ts";
import type { DomainToken } from "./domain-token.ts";
import type { ShutdownReason } from "./listing.ts";

const PANIC_BYTES = 16 * 1024;

/** The hypervisor does not have it any more. */
export async function endOfGone({ boot }: Pick<DomainToken, "boot">): Promise<DomainEnd> {
  if (boot !== (await bootOfHost())) return { kind: "host", detail: "the domain's host was restarted" };
  return { kind: "crashed", detail: "the domain was gone, and Xen keeps no word of why" };
}

interface ShutDown {
  token: DomainToken;
  over: Overlay | undefined;
  /** Of an image's program. */
  streams: DomainStreams | null;
  /** It was asked to. */
  stopped: boolean;
}

/** Null where it wants to start again, which an image's job never does. */
export async function endOf(shutdown: ShutdownReason, { token, over, streams, stopped }: ShutDown): Promise<DomainEnd | null> {
  const { folder, jobToken, diskMib } = token;
  const lost = await overlayLost(over);
  if (lost !== null) return { kind: "host", detail: lost };
  if (streams && (shutdown === "poweroff" || shutdown === "reboot"))
    return endOfImage(shutdown, { folder, token: jobToken, diskMib, stopped, streams });
  return endOfShutdown(shutdown, await guestTextEnd(folder, CONSOLE_LOG, PANIC_BYTES));
}
