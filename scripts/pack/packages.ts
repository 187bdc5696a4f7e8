/** What is published, and how each of these packages is made of the folders under `packages/`. */

/** On their own for whoever builds on them; each is one folder. */
export const LIBRARIES = ["market", "protocol", "verify", "sdk"] as const;

/** In the command's package alone: nobody is promised how these look from outside. */
export const INSIDE = ["engine", "guests", "xenocorp", "xenoserver"] as const;

/** The command: the folder `cli`, with all others in it, so that one file installs it. */
export const COMMAND = { folder: "cli", name: "xenoservers" } as const;

/** Machines for which there is a folder that runs without npm: Node's, PostgreSQL's and esbuild's builds for them. */
export const MACHINES = ["x64", "arm64"] as const;
export type Machine = (typeof MACHINES)[number];

/** Where a name leads: to one source, or to one for each condition (https://nodejs.org/api/packages.html#conditional-exports). */
export type Entries = Readonly<Record<string, string | Readonly<Record<string, string>>>>;

/** The part of a package.json that decides what a package is. */
export interface Manifest {
  name: string;
  version: string;
  license?: string;
  description?: string;
  exports: Entries;
  imports?: Entries;
  dependencies: Readonly<Record<string, string>>;
  optionalDependencies?: Readonly<Record<string, string>>;
}

export const isOurs = (name: string): boolean => name.startsWith("@xenoservers/");
