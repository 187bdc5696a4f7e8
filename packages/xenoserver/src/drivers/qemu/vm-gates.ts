/** The only way out of each machine that may reach the network, within what the order and the owner allow. */
import type { Socket } from "node:net";
import { Gate, LookUpRoom, type AddressRule } from "@xenoservers/guests";
import type { EgressLog } from "./egress-log.ts";
import type { VmJob } from "./vm-job.ts";

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

interface EgressRules {
  ports: readonly number[];
  bytesPerSecondMax: number;
  gibPerMonth: number;
  isPublic: AddressRule;
  /** For tests: names and connections beyond the gate. */
  network?: { resolve(name: string): Promise<string[]>; dial(address: string, port: number): Socket };
}

export class Gates {
  readonly #rules: EgressRules;
  readonly #log: EgressLog;
  readonly #lookUps = new LookUpRoom();
  readonly #open = new Set<Gate>();

  constructor(rules: EgressRules, log: EgressLog) {
    this.#rules = rules;
    this.#log = log;
  }

  /** Null where the job's machine may reach nothing. */
  open({ lease, spec, egressMibMax, egressBytesUsed }: VmJob): Gate | null {
    if (spec.egress === "none") return null;
    const { ports, isPublic, bytesPerSecondMax, gibPerMonth, network } = this.#rules;
    const left = Math.max(0, gibPerMonth * GIB - this.#log.bytesThisMonth);
    const gate = new Gate({
      ...{ lease, ports, isPublic, bytesUsed: egressBytesUsed, bytesPerSecondMax },
      lookUps: this.#lookUps,
      egress: spec.egress,
      bytesMax: Math.min(egressMibMax * MIB, egressBytesUsed + left),
      record: (connection) => this.#log.record(connection),
      ...network,
    });
    this.#open.add(gate);
    return gate;
  }

  async shut(gate: Gate | null): Promise<void> {
    await gate?.close();
    if (gate) this.#open.delete(gate);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open].map((gate) => this.shut(gate)));
  }
}
