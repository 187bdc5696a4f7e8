/** How fast a lease's channel passes on bytes, beside a bare relay of WebSocket messages: the same ends, messages and window. */
import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { channelMessage } from "@xenoservers/protocol/link";
import { HostileLink, frame } from "../test/flood/hostile-link.ts";
import { leaseOn, ownServer } from "../test/flood/own-server.ts";
import { stranger } from "../test/flood/row.ts";
import { placeDatabase } from "../test/shared.ts";
import { quantile, report, type Figure } from "./lib/report.ts";

const MIB = 1024 * 1024;
const RELAYED_MIB = 64;
const MESSAGE_BYTES = 60_000;
/** What the ends of a channel keep under way. */
const WINDOW_BYTES = 512 * 1024;
const ROUNDS = 3;
const HERE = "127.0.0.1";
/** A broker looks at each message: whose it is, where it goes, what it costs, what waits. */
const SLOWER_MAX = 2.5;

async function program(name: string, ...args: string[]): Promise<{ child: ChildProcess; url: string }> {
  const file = path.join(import.meta.dirname, "lib", name);
  const child = spawn(process.execPath, [file, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  const { value } = await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next();
  return { child, url: String(value) };
}

/** How long it takes, in ms, until all of it was heard. */
async function pass(from: HostileLink, to: HostileLink, message: Uint8Array): Promise<number> {
  const framed = frame(message);
  const before = to.bytesHeard;
  const start = performance.now();
  for (let sent = 0; sent < RELAYED_MIB * MIB; sent += message.length) {
    while (sent - (to.bytesHeard - before) > WINDOW_BYTES) await Promise.race([once(to.socket, "heard"), to.gone]);
    if (to.socket.destroyed) throw new Error(`the relay was cut: ${to.closedFor?.why}`);
    from.socket.write(framed);
  }
  while (to.bytesHeard - before < RELAYED_MIB * MIB) await once(to.socket, "heard");
  return performance.now() - start;
}

async function channel(url: string) {
  const one = await stranger(url);
  const server = await ownServer(one, [one.identity.party]);
  const from = await (await HostileLink.open(url, HERE)).login(server.machine);
  const to = await (await HostileLink.open(url, HERE)).login(one);
  const session = randomBytes(16).toString("hex");
  to.socket.write(frame({ t: "channel-open", lease: await leaseOn(one, server.id), session }));
  await from.hears("channel-open");
  return { from, to, message: channelMessage(session, new Uint8Array(MESSAGE_BYTES)) };
}

export async function relay(): Promise<Figure[]> {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-relay-"));
  await placeDatabase(folder);
  const broker = await program("relay-broker.ts", folder);
  const bare = await program("bare-relay.ts");
  try {
    const ours = await channel(broker.url);
    const peer = { from: await HostileLink.open(bare.url, HERE), to: await HostileLink.open(bare.url, HERE) };
    const took: { ours: number[]; peer: number[] } = { ours: [], peer: [] };
    for (let i = 0; i < ROUNDS; i++) {
      took.ours.push(await pass(ours.from, ours.to, ours.message));
      took.peer.push(await pass(peer.from, peer.to, ours.message));
    }
    for (const link of [ours.from, ours.to, peer.from, peer.to]) link.socket.destroy();
    const [value, peerValue] = [quantile(took.ours, 0.5), quantile(took.peer, 0.5)];
    return [report(`${RELAYED_MIB} MiB through a lease's channel`, value, "ms", { peer: "a bare WebSocket relay", peerValue }, SLOWER_MAX)];
  } finally {
    for (const { child } of [broker, bare]) {
      child.kill("SIGKILL");
      if (child.exitCode === null) await once(child, "exit");
    }
    await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}
