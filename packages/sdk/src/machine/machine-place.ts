/** Where what a machine is made of lies: files, folders and registries of a machine with Node, or what a page holds. */
import type { SourceEntry } from "../blob.ts";
import type { Given, OpenedBytes } from "../given-bytes.ts";
import type { NamedImage } from "../oci/oci-image.ts";

/** A folder that is copied in, and whose changes come back. */
export interface SharedFolder {
  host: string;
  guest: string;
  before: SourceEntry[];
}

export interface MachinePlace {
  /** How large a program's terminal is, where there is one. */
  readonly window: { rows?: number; columns?: number };
  /** Throws InputError where it is not there. */
  open(given: Given, option: string): Promise<OpenedBytes>;
  /** What a server will fetch is looked at, where that can be done here; `disk`: MiB that were ordered for it. Throws InputError. */
  lookFirst(url: string, disk: number | null): Promise<void>;
  /** With all its layers. `most`: bytes that those may unpack to, where they are unpacked at once. Throws InputError. */
  image(given: Given, most: number): Promise<NamedImage>;
  /** A script that stands here under the first word of a command; null: it is the guest's own. */
  script(word: string): Promise<OpenedBytes | null>;
  /** What lies in /in; null: nothing. */
  inputs(): Promise<SourceEntry[] | null>;
  /** As `HOST::/guest` is written. Throws InputError. */
  folder(text: string): Pick<SharedFolder, "host" | "guest">;
  tree(host: string): Promise<SourceEntry[]>;
}
