/** What this broker last saw of its log: every document and promise that it signs says so. */
import { invariant } from "@xenoservers/market";
import type { LogState } from "@xenoservers/protocol";
import type { LogHead } from "../store/store.ts";

export class LogView {
  #seen: LogState | null = null;

  get seen(): LogState {
    invariant(this.#seen, "the log has begun before anything is signed");
    return this.#seen;
  }

  see({ id: epoch, size, root }: Pick<LogHead, "id" | "size" | "root">): void {
    this.#seen = { epoch, size, root };
  }
}
