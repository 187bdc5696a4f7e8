/**
 * A domain's network card as a daemon has it: the network that it lies in, which outlives the daemon, and sockets there. Who controls the
 * inputs: the guest (what it sends to each of them).
 */
import type { Socket as Datagrams } from "node:dgram";
import type { Socket } from "node:net";
import { NetNamespace } from "../qemu/network/namespace.ts";
import { answerAddress } from "./address-answer.ts";
import { NETWORK, attachCard, cardName, domainNetwork, leaveNetwork } from "./domain-network.ts";

/** Where DHCP's servers and clients listen (RFC 2131, 4.1). */
const [ADDRESS_SERVER, ADDRESS_CLIENT] = [67, 68];

/** What a card may do. */
export interface CardRules {
  /** What the guest may send in all, with what heads each frame; what it receives is what comes through the gate. */
  kbitPerSecondMax: number;
}

/** As xl.cfg(5) has it: neither a bridge nor a script, for the server itself says where it goes. */
export const cardSetting = ({ kbitPerSecondMax }: CardRules): string =>
  `mac=${NETWORK.mac},type=vif,script=/bin/true,rate=${Math.ceil(kbitPerSecondMax)}Kb/s`;

/** What dom0's kernel waits for before any frame passes: that the card is where it belongs. */
export const cardNodes = (domain: number): (readonly [node: string, value: string])[] => [
  [`/local/domain/0/backend/vif/${domain}/0/hotplug-status`, "connected"],
];

export class DomainCard {
  readonly #folder: string;
  #open: { holder: number; namespace: NetNamespace } | null = null;
  #addresses: Promise<Datagrams> | null = null;
  #isLeft = false;

  /** `folder`: the domain's own. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Puts the card of a domain that is paused, or was attached before, where it belongs. As often as is liked. */
  async attach(domain: number): Promise<void> {
    if (this.#isLeft) throw new Error("the domain's network is gone");
    const holder = await domainNetwork(this.#folder);
    if (this.#open && this.#open.holder !== holder) throw new Error("who holds the domain's network was ended: sockets lie in another one");
    this.#open ??= { holder, namespace: new NetNamespace(holder) };
    await attachCard(holder, cardName(domain));
  }

  /** For sockets beside the domain's card. Throws before that was attached. */
  get namespace(): NetNamespace {
    if (!this.#open) throw new Error("the domain has no network now");
    return this.#open.namespace;
  }

  /** From now on a guest that asks for its address is told it. */
  async serve(): Promise<void> {
    await (this.#addresses ??= this.#answering());
  }

  async #answering(): Promise<Datagrams> {
    const datagrams = await this.namespace.datagrams(ADDRESS_SERVER);
    datagrams.on("error", () => {}); // one answer less
    datagrams.on("message", (bytes) => {
      const answer = answerAddress(bytes);
      if (answer) datagrams.send(answer, ADDRESS_CLIENT, NETWORK.guest, () => {});
    });
    return datagrams;
  }

  /** To a port of its guest. */
  async connect(port: number): Promise<Socket> {
    return this.namespace.connect(port, NETWORK.guest);
  }

  /** The network stays, for the next daemon. */
  async close(): Promise<void> {
    const [addresses, open] = [this.#addresses, this.#open];
    this.#addresses = this.#open = null;
    await addresses?.then(
      (datagrams) => datagrams.close(),
      () => {},
    );
    await open?.namespace.close();
  }

  /** Nothing of it is left in dom0. */
  async leave(): Promise<void> {
    this.#isLeft = true;
    await this.close();
    await leaveNetwork(this.#folder);
  }
}
