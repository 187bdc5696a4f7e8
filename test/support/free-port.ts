/**
 * Ports for programs that must be told theirs before they listen. They lie below those that the system gives out by itself, so that no
 * connection that anybody opens meanwhile has one of them by chance.
 */
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";

const FROM = 10_000;
/** Linux's own, where it does not say. */
const SYSTEMS_FROM = 32_768;
/** Apart, so that suites beside each other do not try the same ones. */
const APART = 61;

let given = 0;

const systemsFrom = (): Promise<number> =>
  readFile("/proc/sys/net/ipv4/ip_local_port_range", "utf8").then(
    (text) => Number(text.split(/\s/)[0]),
    () => SYSTEMS_FROM,
  );

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const probe = createServer()
      .once("error", () => resolve(false))
      .listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });

/** One of loopback that nobody listens on now; no other call of this process has it. */
export async function freePort(): Promise<number> {
  const to = await systemsFrom();
  const count = to > FROM ? to - FROM : SYSTEMS_FROM - FROM;
  for (let tried = 0; tried < count; tried++) {
    const port = FROM + ((process.pid * APART + given++) % count);
    if (await isFree(port)) return port;
  }
  throw new Error(`no port from ${FROM} to ${FROM + count} is free`);
}
