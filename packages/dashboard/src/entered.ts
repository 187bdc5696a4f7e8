/**
 * With which key the page is used: the one that this browser keeps, whichever tab gave or took it. Who controls the inputs: whoever can
 * write to this browser's storage of this origin.
 */
import { Access } from "./access.ts";
import { forget, isAboutKept, isSameKey, placeHere, readKept } from "./key-store.ts";

export class Entered {
  readonly #place = placeHere();
  readonly #listeners = new Set<() => void>();
  #access: Access | null = null;

  readonly now = (): Access | null => this.#access;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  /** Follows what is kept, for as long as the page is there. */
  follow(): void {
    addEventListener("storage", (event) => isAboutKept(event) && this.#read());
    this.#read();
  }

  /** A key that was kept and tried. */
  readonly enter = (access: Access): void => this.#use(access);

  readonly leave = (): void => {
    if (this.#access !== null) forget(this.#place, this.#access.kept);
    this.#read();
  };

  #read(): void {
    const kept = readKept(this.#place);
    if (isSameKey(kept, this.#access?.kept ?? null)) return;
    this.#use(kept === null ? null : new Access(kept, location.origin));
  }

  #use(access: Access | null): void {
    if (access === this.#access) return;
    this.#access?.close();
    this.#access = access;
    for (const listener of this.#listeners) listener();
  }
}
