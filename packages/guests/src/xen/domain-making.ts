/**
 * A lease's domain as the hypervisor and dom0's kernel have it: made, paused, with all that belongs to it, found there, and destroyed. Who
 * controls the inputs: this program, every path; whoever administers the host, who may destroy it.
 */
import { rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { cpuSecondsOf } from "../cgroup.ts";
import { messageOf } from "../thrown.ts";
import type { DeviceModel } from "./device-model.ts";
import { cardNodes, type DomainCard } from "./domain-card.ts";
import { DomainBackEnd, type BackEnds } from "./domain-back-end.ts";
import { disksOf, domainConfig } from "./domain-config.ts";
import { leaveConsole } from "./domain-console.ts";
import { consoleNodes, consoleOwners } from "./domain-consoles.ts";
import { asDevices, deviceNodes, disksAreOpen, type ConfiguredDisk, type DomainDevice } from "./domain-disk.ts";
import type { DomainEnd } from "./domain-end.ts";
import { wasMade } from "./domain-progress.ts";
import type { DomainToken, DomainWork } from "./domain-token.ts";
import type { ListedDomain } from "./listing.ts";
import type { Xl } from "./xl.ts";

/** A state as it comes from another host, and what ends once all else is there. */
interface ComingState {
  state: AsyncIterable<Uint8Array>;
  rest(): Promise<void>;
}

/** What a domain that goes on is made of; a state that was kept is in a file. */
export type DomainSource = { state: string } | ComingState;

/** In a configuration: dom0's kernel is told which devices are a domain's disks in xenstore alone. */
const NOT_YET = "/dev/null";

interface MakingOf {
  xl: Xl;
  token: Pick<DomainToken, "folder" | "name" | "uuid">;
  work: Pick<DomainWork, "plan" | "kernelMib">;
  /** Null where it was ordered without one. */
  card: DomainCard | null;
  /** Null where no hardware of it is emulated. */
  deviceModel: DeviceModel | null;
  backEnds: BackEnds;
  /** Whether it has consoles beside its first. */
  hasConsoles: boolean;
  /** It is there by that number, paused: what needs no more than that is done beside the rest. */
  numbered(id: number): void;
  log(what: string, facts: Record<string, unknown>): void;
}

export class DomainMaking {
  readonly #of: MakingOf;
  /** What dom0's kernel does for it. */
  readonly backEnd: DomainBackEnd;
  #made: number | null = null;

  constructor(of: MakingOf) {
    this.#of = of;
    this.backEnd = new DomainBackEnd(of.token.name, of.work.plan.vcpu, of.backEnds);
  }

  /** As it is now; null where it is not, or is going. */
  async found(): Promise<ListedDomain | null> {
    const { xl, token } = this.#of;
    const found = (await xl.list()).find(({ uuid }) => uuid === token.uuid);
    return found && !found.dying ? found : null;
  }

  /** As it is listed. Throws where it is gone, or has ended. */
  async running(): Promise<ListedDomain> {
    const found = await this.found();
    if (!found || found.shutdown !== null) throw new Error("the domain has ended");
    return found;
  }

  /** The number of the domain as this daemon has made it; null where it has not, or has destroyed it. */
  get made(): number | null {
    return this.#made;
  }

  /** The domain's number, which is another one after each restart. Throws where it is gone. */
  async id(): Promise<number> {
    return (await this.running()).id;
  }

  /** Makes it, paused; of the state of another, if there is one. Half of it may be there where that fails. */
  async make(signal?: AbortSignal, from: DomainSource | null = null): Promise<void> {
    const disks = disksOf(this.#of.work.plan);
    if (from && "rest" in from) {
      await this.#receive(from, signal);
      return asDevices(disks, (devices) => this.#equip(devices));
    }
    await asDevices(disks, async (devices) => {
      const { xl, work } = this.#of;
      const config = await this.#configured(devices);
      if (from === null) await xl.create(config, { kernelMib: work.kernelMib, signal });
      else await xl.restore(config, from.state, signal);
      await this.#equip(devices);
    });
  }

  /** While its state comes, its disk is still written to at the other host: its devices are made afterwards. */
  async #receive({ state, rest }: ComingState, signal: AbortSignal | undefined): Promise<void> {
    const { xl, token, work } = this.#of;
    const config = await this.#configured(disksOf(work.plan).map(({ isWritable }) => ({ device: NOT_YET, isWritable })));
    await xl.restoreFrom(config, state, { log: path.join(token.folder, "restore.log"), signal });
    await rest();
  }

  async #configured(devices: readonly ConfiguredDisk[]): Promise<string> {
    const { token, work } = this.#of;
    const config = path.join(token.folder, "domain.cfg");
    await writeFile(config, domainConfig(work.plan, devices), { mode: 0o600 });
    return config;
  }

  /** What belongs to it beside what xl makes. */
  async #equip(devices: readonly DomainDevice[]): Promise<void> {
    const { xl, token, deviceModel, hasConsoles, numbered } = this.#of;
    const id = await xl.numberOf(token.uuid);
    if (id === null) throw new Error("the domain that was made is not there");
    numbered(id);
    const nodes = [...deviceNodes(id, devices), ...(hasConsoles ? consoleNodes(id) : [])];
    if (nodes.length > 0) await xl.write(nodes);
    if (hasConsoles) for (const owned of consoleOwners(id)) await xl.own(owned);
    await deviceModel?.check(await xl.deviceModel(id));
    await this.attachCard(id);
    await disksAreOpen(id, devices.length);
    if (deviceModel) await this.backEnd.holdProcess(id, await deviceModel.group());
    wasMade(token.folder, id);
    this.#made = id;
  }

  /** Before its guest runs: what it sends comes where it belongs, or nowhere. */
  async attachCard(id: number): Promise<void> {
    const { xl, card } = this.#of;
    if (!card) return;
    await card.attach(id);
    await xl.write(cardNodes(id));
    await card.serve();
  }

  /** For the host's own books: what the domain had of it. */
  async tellUse(kind: DomainEnd["kind"]): Promise<void> {
    const { xl, token, deviceModel, log } = this.#of;
    const used = (await xl.usage().catch(() => [])).find(({ name }) => name === token.name);
    const group = (await deviceModel?.group()) ?? null;
    const ofDom0 = { backEndCpuSeconds: await this.backEnd.cpuSeconds(), qemuCpuSeconds: group && (await cpuSecondsOf(group)) };
    log("a domain ended", { kind, ...(used ?? { name: token.name }), ...ofDom0 });
  }

  /** Its files stay, and its network. Throws where it cannot be. */
  async destroy(): Promise<void> {
    const { xl, token } = this.#of;
    this.#made = null;
    for (const { uuid, id } of await xl.list()) if (uuid === token.uuid) await xl.destroy(id).catch(() => {});
    await leaveConsole(token.folder);
    if (await this.found()) throw new Error(`the domain ${token.name} could not be destroyed`);
  }

  /** Nor is there anything left that was sold for the time it ran. Throws where it cannot be destroyed. */
  async destroyForGood(): Promise<void> {
    const { work, card, deviceModel } = this.#of;
    await this.destroy();
    await card?.leave();
    await deviceModel?.leave();
    await this.backEnd.leave();
    for (const { file, over } of disksOf(work.plan)) for (const each of over ? [file, over.base] : [file]) await rm(each, { force: true });
  }

  /** Nothing of it is left in the hypervisor, as far as that can be told. `isForGood`: nor of what was sold with it. */
  async unmake(isForGood: boolean): Promise<void> {
    const { token, card, log } = this.#of;
    await (isForGood ? this.destroyForGood() : this.destroy()).catch((error: unknown) =>
      log("a domain could not be destroyed", { name: token.name, error: messageOf(error) }),
    );
    await card?.close();
  }
}
