/**
 * A connection to a guest's port, through QEMU's own network, which passes on no reset of the guest's: where the guest breaks off, QEMU
 * closes its side, and that looks like an end. The kernel tells them apart: of a side that has only said all, a program still has the
 * socket. A reset of this side QEMU passes on, but not one that it finds together with bytes: the bytes then come to the guest with an end
 * behind them. So the reset waits until QEMU has read what was said before. Who controls the inputs: the guest, when it ends or breaks
 * off, and whether it takes anything; the customer, when it breaks off.
 */
import type { Socket } from "node:net";
import type { ConnectionTable } from "./connection-table.ts";

export type GuestConnection = Socket & { breakOff(): void; wasBrokenOff(): Promise<boolean> };

export function guestConnection(socket: Socket, table: ConnectionTable): GuestConnection {
  const { localPort = 0, remotePort = 0 } = socket;
  const qemus = { local: remotePort, remote: localPort };
  return Object.assign(socket, {
    breakOff(): void {
      socket.pause();
      void table.whenRead(qemus, () => socket.destroyed || socket.writableLength === 0).then(() => socket.resetAndDestroy());
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
