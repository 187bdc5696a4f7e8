/**
 * A connection to a guest's port, or of a guest's own, through QEMU's network, which passes on no reset of the guest's: where the guest
 * breaks off, QEMU closes its side, and that looks like an end. The kernel tells them apart: of a side that has only said all, a program
 * still has the socket. A reset of this side QEMU passes on, but not one that it finds together with bytes: the bytes then come to the
 * guest with an end behind them. So the reset waits until QEMU has read what was said before. Who controls the inputs: the guest, when it
 * ends or breaks off, and whether it takes anything; whoever is on this side, when it breaks off.
 */
import type { Socket } from "node:net";
import { endOf, type ConnectionTable } from "./connection-table.ts";

export type GuestConnection = Socket & {
  /** Resolves when the guest was told, or cannot be. What is written from now on comes to nobody. */
  breakOff(): Promise<void>;
  wasBrokenOff(): Promise<boolean>;
};

/** One whose other end is in the guest's own kernel, as a domain's are: what TCP says comes there as it is. */
export const directConnection = (socket: Socket): GuestConnection =>
  Object.assign(socket, {
    async breakOff(): Promise<void> {
      if (!socket.destroyed) socket.resetAndDestroy();
    },
    wasBrokenOff: async () => false,
  });

/** Why all of a machine's connections are broken off: it goes on elsewhere, or this program goes and it stays. */
export type CutReason = "moves" | "server-leaves";
/** How long a guest is waited for that takes nothing, or little: of what it has not taken then it takes a part for all of it. */
const TOLD_MS: Readonly<Record<CutReason, number>> = { moves: 1_000, "server-leaves": 10_000 };

export function guestConnection(socket: Socket, table: ConnectionTable): GuestConnection {
  const { localAddress = "", localPort = 0, remoteAddress = "", remotePort = 0 } = socket;
  const qemus = { local: endOf(remoteAddress, remotePort), remote: endOf(localAddress, localPort) };
  let breaking: Promise<void> | null = null;
  return Object.assign(socket, {
    breakOff(): Promise<void> {
      if (breaking) return breaking;
      socket.pause();
      // neither bytes nor an end come between the last that was said and the reset
      Object.assign(socket, { write: () => false, end: () => socket });
      breaking = table
        .whenRead(qemus, () => socket.destroyed || socket.writableLength === 0)
        .then(() => {
          if (!socket.destroyed) socket.resetAndDestroy();
        });
      return breaking;
    },
    async wasBrokenOff(): Promise<boolean> {
      // both have said all
      if (socket.writableEnded || socket.destroyed) return false;
      const isNobodys = await table.isNobodys(qemus);
      // meanwhile both may have: the kernel's entry then goes, too
      return isNobodys && !socket.writableEnded && !socket.destroyed;
    },
  });
}

/** Resolves when all of them were, or a guest that takes nothing is waited for no longer. */
export async function soonToldAll(breaking: readonly Promise<void>[], reason: CutReason): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise((resolve) => (timer = setTimeout(resolve, TOLD_MS[reason])));
  await Promise.race([Promise.all(breaking), late]);
  clearTimeout(timer);
}
