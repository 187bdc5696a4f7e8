/**
 * A port of this machine's loopback at which viewers see a lease's screen. Everybody on this machine can connect to it, so nothing of the
 * machine is reached before the password was given, and who has not given it is one of a few. Who controls the inputs: whoever connects;
 * the server.
 */
import { createServer, type AddressInfo, type Socket } from "node:net";
import { pipeline } from "node:stream/promises";
import { admitViewer } from "./handshake.ts";
import { openScreen, type ScreenLink } from "./screen.ts";

/** Of those that have not given their password; a person may type it. The oldest goes when another comes. */
const WAITING_MAX = 8;
const WAITING_MS = 120_000;

interface ScreenPortOptions {
  password: string;
  /** 0: any that is free. */
  port: number;
  /** Why a viewer sees nothing, in words. */
  onProblem(why: string): void;
}

export interface ScreenPort {
  port: number;
  /** Ends every viewer. */
  close(): void;
}

async function show(link: ScreenLink, viewer: Socket, password: string, admitted: () => void): Promise<void> {
  const signal = AbortSignal.timeout(WAITING_MS);
  const admission = await admitViewer(viewer, password, signal);
  admitted();
  const screen = await openScreen(link, signal).catch((error: Error) => {
    admission.refuse(error.message);
    throw error;
  });
  viewer.setNoDelay(true);
  admission.welcome();
  await Promise.all([pipeline(viewer, screen), pipeline(screen, viewer)]).catch(() => {}); // either side may leave
}

/** Throws where the port is taken. */
export async function openScreenPort(link: ScreenLink, { password, port, onProblem }: ScreenPortOptions): Promise<ScreenPort> {
  const all = new Set<Socket>();
  const waiting = new Set<Socket>();
  const server = createServer((viewer) => {
    viewer.on("error", () => {}); // its close says enough
    all.add(viewer);
    viewer.once("close", () => {
      all.delete(viewer);
      waiting.delete(viewer);
    });
    const [oldest] = waiting;
    if (waiting.size >= WAITING_MAX) oldest?.destroy();
    waiting.add(viewer);
    show(link, viewer, password, () => waiting.delete(viewer))
      .catch((error: Error) => onProblem(error.message))
      .finally(() => viewer.destroySoon());
  });
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen({ host: "127.0.0.1", port }, resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close();
      for (const viewer of all) viewer.destroy();
    },
  };
}
