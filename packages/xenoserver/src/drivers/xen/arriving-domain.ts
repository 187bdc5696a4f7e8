/**
 * A domain that comes from another server: it is made of its state as that comes, paused, so that it stands still no longer than the last
 * of it takes. Nothing of it is left where it does not come. Who controls the inputs: the server that hands it over, the same owner's.
 */
import { access, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { PassThrough } from "node:stream";
import { hashedFiles, type ComingDomain, type Domain, type DomainKind } from "@xenoservers/guests";
import { zVmSpec, type VmSpec } from "@xenoservers/protocol";
import type { Arriving } from "../driver.ts";
import { BLOB, BOOT, CONSOLE, DISK, KIND, isPart, isState } from "./domain-parts.ts";
import { addPiece, partOf } from "./sparse-pieces.ts";

/** Made, paused; `blobFile`: of what it boots. */
export type MakeDomain = (from: ComingDomain, blobFile: (digest: string) => string, signal: AbortSignal) => Promise<Domain>;

interface ArrivingOf {
  /** For what comes, and nothing else. */
  folder: string;
  /** What the server makes now. */
  kind: DomainKind;
  ordered: VmSpec;
  make: MakeDomain;
}

type Rest = Awaited<ReturnType<ComingDomain["rest"]>>;

const isThere = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    () => false,
  );

/** A domain that is made while the state of that name comes. */
class DomainInMaking {
  readonly name: string;
  readonly #domain: Promise<Domain>;
  readonly #state = new PassThrough();
  readonly #rest = Promise.withResolvers<Rest>();
  readonly #unwanted = new AbortController();
  #had = 0;

  constructor(name: string, make: (from: Pick<ComingDomain, "state" | "rest">, signal: AbortSignal) => Promise<Domain>) {
    this.name = name;
    const rest = (): Promise<Rest> => this.#rest.promise;
    this.#rest.promise.catch(() => {}); // where nobody waits for it
    this.#domain = make({ state: this.#state, rest }, this.#unwanted.signal);
    this.#domain.catch(() => {}); // whoever asks next is told
  }

  /** Resolves once they are taken. Throws where no domain is made. */
  async add(piece: Uint8Array): Promise<void> {
    const { at, bytes } = partOf(piece);
    if (at !== this.#had) throw new Error("its state does not come in order");
    this.#had += bytes.length;
    const taken = new Promise<void>((resolve) => this.#state.write(bytes, (error) => error ?? resolve()));
    await Promise.race([taken, this.#domain]);
  }

  made(rest: Rest): Promise<Domain> {
    this.#state.end();
    this.#rest.resolve(rest);
    return this.#domain;
  }

  async discard(): Promise<void> {
    const why = new Error("the domain does not come");
    this.#unwanted.abort(why);
    this.#state.destroy();
    this.#rest.reject(why);
    const domain = await this.#domain.catch(() => null);
    await domain?.dispose();
  }
}

export class ArrivingDomain implements Arriving {
  readonly #of: ArrivingOf;
  /** Images of which pieces came since they were held against their digests. */
  readonly #unchecked = new Set<string>();
  #making: DomainInMaking | null = null;
  #isOver = false;

  constructor(of: ArrivingOf) {
    this.#of = of;
  }

  #at(name: string): string {
    return path.join(this.#of.folder, name);
  }

  async add(name: string, bytes: Uint8Array): Promise<void> {
    if (!isPart(name)) throw new Error(`no part of a domain is called ${name}`);
    if (!this.#unchecked.has(name)) await this.#checkImages();
    if (isState(name)) return this.#addState(name, bytes);
    if (name.startsWith(BLOB)) this.#unchecked.add(name);
    await addPiece(this.#at(name), bytes);
    if (name === KIND) await this.#needKind();
  }

  /** Each is whole once another file comes, while the domain still runs. Throws where one is not what its digest says. */
  async #checkImages(): Promise<void> {
    for (const name of this.#unchecked) {
      const digest = name.slice(BLOB.length);
      const isRight = (await hashedFiles.digestOf(this.#at(name))) === digest;
      if (!isRight) throw new Error(`the image ${digest.slice(0, 12)} did not come as it is`);
    }
    this.#unchecked.clear();
  }

  /** Said first: nothing else is carried in vain. */
  async #needKind(): Promise<void> {
    const kind = await readFile(this.#at(KIND), "utf8");
    if (kind !== this.#of.kind) throw new Error(`it is a ${kind} domain, and that server makes ${this.#of.kind} domains ([xen] guests)`);
  }

  async #addState(name: string, bytes: Uint8Array): Promise<void> {
    // it could not be sent while it ran
    if (this.#making && this.#making.name !== name) await this.#making.discard();
    if (this.#isOver) throw new Error("the domain does not come");
    if (this.#making?.name !== name) this.#making = new DomainInMaking(name, (from, signal) => this.#make(from, signal));
    await this.#making.add(bytes);
  }

  async #need(name: string): Promise<void> {
    if (!(await isThere(this.#at(name)))) throw new Error(`its ${name} has not come`);
  }

  async #make(from: Pick<ComingDomain, "state" | "rest">, signal: AbortSignal): Promise<Domain> {
    const { folder, ordered, make } = this.#of;
    for (const name of [KIND, BOOT]) await this.#need(name);
    const boot = zVmSpec.shape.vm.parse(JSON.parse(await readFile(this.#at(BOOT), "utf8")));
    const spec = { ...ordered, vm: ordered.vm.kind === "snapshot" ? boot : ordered.vm };
    return make({ ...from, folder, spec }, (digest) => this.#at(`${BLOB}${digest}`), signal);
  }

  /** As the other server left it, once all has come. Throws where not all has. It is the caller's from then on. */
  async made(): Promise<Domain> {
    const making = this.#making;
    await this.#checkImages();
    for (const name of [KIND, BOOT, CONSOLE]) await this.#need(name);
    if (!making) throw new Error("its state has not come");
    const domain = await making.made({ disk: (await isThere(this.#at(DISK))) ? this.#at(DISK) : null, console: this.#at(CONSOLE) });
    this.#making = null;
    return domain;
  }

  async discard(): Promise<void> {
    this.#isOver = true;
    await this.#making?.discard();
    await rm(this.#of.folder, { recursive: true, force: true });
  }
}
