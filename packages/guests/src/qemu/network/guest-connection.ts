/**
 * A connection to a guest's port, through QEMU's own network, which passes on no reset: where the guest breaks off, QEMU closes its side,
 * and that looks like an end. The kernel tells them apart: of a side that has only said all, a program still has the socket. Who controls
 * the inputs: the guest, when it ends or breaks off.
 */
import { readFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { innermostOf } from "../machine/box.ts";

const [LOCAL, REMOTE, INODE] = [1, 2, 9];
/** Of a socket that no program has any more. */
const NOBODYS = "0";
const HEXADECIMAL = 16;

const portIn = (address: string | undefined): number => parseInt(address?.split(":")[1] ?? "", HEXADECIMAL);

/** Whether nobody has the socket between these two ports any more, by the kernel's table of connections (proc(5), net/tcp). */
function isNobodys(table: string, local: number, remote: number): boolean {
  const found = table
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .find((fields) => portIn(fields[LOCAL]) === local && portIn(fields[REMOTE]) === remote);
  return found === undefined || found[INODE] === NOBODYS;
}

/** `pid`: the first process of the machine's box. */
export function guestConnection(socket: Socket, pid: number): Socket & { breakOff(): void; wasBrokenOff(): Promise<boolean> } {
  const { localPort = 0, remotePort = 0 } = socket;
  return Object.assign(socket, {
    breakOff: () => void socket.resetAndDestroy(),
    async wasBrokenOff(): Promise<boolean> {
      // both have said all
      if (socket.writableEnded || socket.destroyed) return false;
      const table = await readFile(`/proc/${await innermostOf(pid)}/net/tcp`, "utf8").catch(() => null);
      // meanwhile both may have: the kernel's entry then goes, too
      if (socket.writableEnded || socket.destroyed) return false;
      return table !== null && isNobodys(table, remotePort, localPort);
    },
  });
}
