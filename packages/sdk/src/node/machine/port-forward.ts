/**
 * A port of this machine, on its loopback alone, that leads to one of a guest's. Who controls the inputs: programs of this machine; the
 * guest.
 */
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { systemCode } from "@xenoservers/protocol/files";
import type { MachineLink } from "../../session/machine-link.ts";

/** Open until it is closed. */
export interface PortForward {
  /** On 127.0.0.1, and on ::1 where this machine has it: `localhost` is either. */
  port: number;
  close(): void;
}

/** How often another free port is drawn where the one that was drawn is taken on ::1. */
const DRAWS_MAX = 16;

function listening(host: string, port: number, taken: (socket: Socket) => void): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, taken);
  return new Promise((resolve, reject) => {
    server.once("error", reject).listen({ host, port, ipv6Only: true }, () => resolve(server));
  });
}

// a server that listens at a port has an address
const portOf = (server: Server): number => (server.address() as AddressInfo).port;

/** Where another program has one of the two, whoever says `localhost` would reach that program or this guest, by chance. */
async function bothListening(port: number, taken: (socket: Socket) => void): Promise<Server[]> {
  for (let draw = 1; ; draw++) {
    const first = await listening("127.0.0.1", port, taken);
    try {
      return [first, await listening("::1", portOf(first), taken)];
    } catch (error) {
      if (systemCode(error) !== "EADDRINUSE") return [first]; // this machine has no IPv6
      first.close();
      if (port !== 0 || draw >= DRAWS_MAX) throw error;
    }
  }
}

/** What either end of a connection that was broken off says, as its system has it. */
const BROKEN_OFF = /\b(?:ECONNRESET|ECONNREFUSED|EPIPE)\b/;

/** Why a connection to that port of the guest ended before its time: either side's word comes here. */
const endWords = ({ message }: Error, guest: number): string =>
  BROKEN_OFF.test(message)
    ? `a connection to port ${guest} of the machine was broken off (${message}): does a program listen at it?`
    : message;

/** `port`: 0 is any that is free. `onProblem`: of one connection. */
export async function forwardPort(
  machine: Pick<MachineLink, "open">,
  guest: number,
  port: number,
  onProblem: (why: string) => void,
): Promise<PortForward> {
  const servers = await bothListening(port, (socket) => {
    socket.on("error", (error) => onProblem(endWords(error, guest)));
    const breakOff = (why: Error): void => {
      onProblem(endWords(why, guest));
      socket.resetAndDestroy();
    };
    void machine.open(guest, Object.assign(socket, { breakOff })).catch(breakOff);
  }).catch((error: unknown) => {
    if (systemCode(error) === "EADDRINUSE") throw new Error(`port ${port} of this machine is taken: say another one`);
    if (systemCode(error) === "EACCES") throw new Error(`port ${port} of this machine is not yours to take: say one above 1023`);
    throw error;
  });
  return { port: portOf(servers[0]!), close: () => servers.forEach((server) => server.close()) };
}
