/**
 * The card of a machine whose order asks for a network, on the one network that the owner named: its addresses are the hosts' to hold it to
 * (locked), what it sends has a rate, and what it may reach is that network's to say, for nothing of this server stands between (ADR 88).
 * Who controls the inputs: the owner (the settings), the pool.
 */
import { randomBytes } from "node:crypto";
import { z } from "zod";
import { freeAddress, type AddressRange } from "./address-range.ts";
import type { Pool } from "./pool.ts";
import { recordsOf, zNothing } from "./xapi-records.ts";

/** XAPI counts a card's rate in kilobytes a second, whatever it calls them. */
const KILOBYTES_PER_MBIT = 125;

export interface NetworkSettings {
  /** uuid or name. */
  network: string;
  addresses: AddressRange;
  gateway: string;
  dns: readonly string[];
  /** Of what each machine sends. */
  mbit: number;
}

interface Card {
  mac: string;
  address: string;
}

/** Locally administered, of one station. */
function ownMac(): string {
  const bytes = randomBytes(6);
  bytes[0] = ((bytes[0] ?? 0) & 0xfc) | 2;
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}

export class PoolNetwork {
  readonly #pool: Pool;
  readonly #settings: NetworkSettings;
  /** One card is made at a time: its address is chosen before. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(pool: Pool, settings: NetworkSettings) {
    this.#pool = pool;
    this.#settings = settings;
  }

  /** The network that the owner named; throws where it is not there, or is not one. */
  get ref(): string {
    const { network } = this.#settings;
    const found = [...this.#pool.mirror.of("network")].filter(([, { uuid, name_label: name }]) => uuid === network || name === network);
    const [first] = found;
    if (!first || found.length > 1) throw new Error(`xapi.network: the pool has ${found.length} networks of that uuid or name`);
    return first[0];
  }

  /** The files that a seed has more for it. */
  async give(vm: string): Promise<{ name: string; bytes: Uint8Array }> {
    const made = this.#turn.then(() => this.#give(vm));
    this.#turn = made.catch(() => {});
    return { name: "network-config", bytes: Buffer.from(this.#configOf(await made)) };
  }

  async #give(vm: string): Promise<Card> {
    const { session } = this.#pool;
    const { ref } = this;
    const all = recordsOf("vif", await session.call(z.unknown(), "VIF.get_all_records"));
    const taken = new Set(all.flatMap(([, { network, ipv4_allowed: addresses }]) => (network === ref ? addresses : [])));
    const address = freeAddress(this.#settings.addresses, taken);
    if (address === null) throw new Error("no address is left for another machine: give more in xapi.network_addresses");
    const mac = ownMac();
    await session.call(zNothing, "VIF.create", {
      ...{ VM: vm, network: ref, device: "0", MAC: mac, MTU: 1_500, other_config: {} },
      ...{ locking_mode: "locked", ipv4_allowed: [address], ipv6_allowed: [], qos_algorithm_type: "ratelimit" },
      qos_algorithm_params: { kbps: String(Math.max(1, Math.floor(this.#settings.mbit * KILOBYTES_PER_MBIT))) },
    });
    return { mac, address };
  }

  /** As cloud-init reads it (version 2), by the card's own address, whatever the guest calls it. */
  #configOf({ mac, address }: Card): string {
    const { addresses, gateway, dns } = this.#settings;
    return [
      ...["version: 2", "ethernets:", "  lease:", `    match: {macaddress: "${mac}"}`],
      ...[`    addresses: ["${address}/${addresses.bits}"]`, `    routes: [{to: "0.0.0.0/0", via: "${gateway}"}]`],
      `    nameservers: {addresses: [${dns.map((each) => `"${each}"`).join(", ")}]}`,
      "",
    ].join("\n");
  }
}
