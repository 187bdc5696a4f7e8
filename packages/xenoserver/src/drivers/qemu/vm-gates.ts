/** The only way out of each machine that may reach the network, within what the order and the owner allow. */
import type { Socket } from "node:net";
import { Gate, LookUpRoom, type AddressRule } from "@xenoservers/guests";
import { EgressLog } from "./egress-log.ts";
import type { VmJob } from "./vm-job.ts";

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

/** What the owner lets machines reach, in ports, exceptions, rate and sum. */
export interface EgressPolicy {
  ports: readonly number[];
  allow: readonly string[];
  bytesPerSecondMax: number;
  gibPerMonth: number;
}

/** Names and connections beyond the gate: for tests. */
export interface BeyondGate {
  resolve(name: string): Promise<string[]>;
  dial(address: string, port: number): Socket;
}

interface EgressRules extends EgressPolicy {
  isPublic: AddressRule;
  network?: BeyondGate;
}

/** `folder`: where the record of connections lies. */
export async function openGates(
  folder: string,
  rules: EgressRules,
  log: (what: string, facts: Record<string, unknown>) => void,
): Promise<Gates> {
  const record = new EgressLog(folder, log);
  await record.open();
  return new Gates(rules, record);
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
  open({ lease, spec, egressMibMax, egressBytesUsed }: Pick<VmJob, "lease" | "spec" | "egressMibMax" | "egressBytesUsed">): Gate | null {
    if (spec.egress === "none") return null;
    const { ports, isPublic, bytesPerSecondMax, gibPerMonth, network } = this.#rules;
    const bytesUsed = egressBytesUsed();
    const left = Math.max(0, gibPerMonth * GIB - this.#log.bytesThisMonth);
    const gate = new Gate({
      ...{ lease, ports, isPublic, bytesUsed, bytesPerSecondMax },
      lookUps: this.#lookUps,
      egress: spec.egress,
      bytesMax: Math.min(egressMibMax * MIB, bytesUsed + left),
      record: (connection) => this.#log.record(connection),
      ...network,
    });
    this.#open.add(gate);
    return gate;
  }

  /** `goesOn`: its machine does, without this program. */
  async shut(gate: Gate | null, goesOn = false): Promise<void> {
    await gate?.close(goesOn);
    if (gate) this.#open.delete(gate);
  }

  /** This program goes away, and leaves machines running. */
  async close(): Promise<void> {
    await Promise.all([...this.#open].map((gate) => this.shut(gate, true)));
    await this.#log.written();
  }
}
