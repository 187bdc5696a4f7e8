/**
 * A port of this machine, on its loopback alone, that leads to one of a guest's. Who controls the inputs: programs of this machine; the
 * guest.
 */
import { createServer, type AddressInfo } from "node:net";
import type { MachineLink } from "../../session/machine-link.ts";

/** Open until it is closed. */
export interface PortForward {
  /** On 127.0.0.1. */
  port: number;
  close(): void;
}

/** `port`: 0 is any that is free. `onProblem`: of one connection. */
export async function forwardPort(
  machine: Pick<MachineLink, "open">,
  guest: number,
  port: number,
  onProblem: (why: string) => void,
): Promise<PortForward> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", (error) => onProblem(error.message));
    void machine.open(guest, socket).catch((error: Error) => socket.destroy(error));
  });
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen({ host: "127.0.0.1", port }, resolve));
  // a server that listens at a port has an address
  const { port: taken } = server.address() as AddressInfo;
  return { port: taken, close: () => void server.close() };
}
