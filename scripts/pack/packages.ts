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

/** The part of a package.json that decides what a package is. */
export interface Manifest {
  name: string;
  version: string;
  license?: string;
  description?: string;
  exports: Readonly<Record<string, string>>;
  dependencies: Readonly<Record<string, string>>;
  optionalDependencies?: Readonly<Record<string, string>>;
}

export const isOurs = (name: string): boolean => name.startsWith("@xenoservers/");
