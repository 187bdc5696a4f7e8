/** What goes wrong in a simulated market: cut pipes, unreachable hosts, daemons, hosts without power, brokers away for moments or minutes, revoked keys. */
import type { Network, Random, SimClock } from "@xenoservers/testkit";
import type { SimBroker } from "./broker.ts";
import type { SimCustomer } from "./customer.ts";
import type { SimServer } from "./server.ts";

export const FAULTS_MS = 180_000;
export const DAEMON_DOWN_MS_MAX = 20_000;
const BROKER_DOWN_MS_MAX = 10_000;
/** Longer than every grace. */
const OUTAGE_MS_MAX = 150_000;

const KINDS = ["cut", "cut", "partition", "server", "broker", "power", "outage", "revocation"] as const;

export interface Faulty {
  broker: SimBroker;
  clock: SimClock;
  network: Network;
  random: Random;
  servers: readonly SimServer[];
  customers: readonly SimCustomer[];
  trace(line: string): void;
}

function strike({ broker, clock, network, random, servers, customers, trace }: Faulty): void {
  const what = random.pick(KINDS);
  const server = random.pick(servers);
  trace(`fault: ${what}`);
  switch (what) {
    case "cut":
      for (const pipe of [...network.pipes]) if (random.chance(0.5)) pipe.cut();
      return;
    case "partition":
      return network.partition(random.pick([...servers, ...customers]).host, random.between(1_000, 70_000));
    case "server":
    case "power":
      server.stop();
      if (what === "power") server.driver.loseGuests();
      clock.after(random.between(100, DAEMON_DOWN_MS_MAX), () => server.start());
      return;
    case "broker":
    case "outage": {
      if (!broker.desk || (what === "outage" && random.chance(0.5))) return;
      broker.kill();
      const awayMs = what === "broker" ? random.between(100, BROKER_DOWN_MS_MAX) : random.between(BROKER_DOWN_MS_MAX, OUTAGE_MS_MAX);
      clock.after(awayMs, () => void broker.start());
      return;
    }
    case "revocation":
      if (random.chance(0.3)) random.pick(customers).revoke();
  }
}

export function plan(faulty: Faulty): void {
  const { clock, random, network } = faulty;
  for (let at = 5_000; at < FAULTS_MS; at += random.between(5_000, 30_000)) clock.after(at, () => strike(faulty));
  clock.after(FAULTS_MS + 20_000, () => network.heal());
}
