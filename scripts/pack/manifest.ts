/** The package.json of what is published, made of the workspace's own: nothing of it is written twice. */
import { COMMAND, INSIDE, LIBRARIES, isOurs, type Entries, type Manifest } from "./packages.ts";

/** What all packages say alike. */
export interface Release {
  version: string;
  description: string;
  /** The commit that it was made of. */
  gitHead: string;
  nodeMin: string;
}

type Names = Readonly<Record<string, string>>;

/** `./src/x.ts` as the compiler leaves it. */
const compiled = (source: string): { types: string; default: string } => {
  const built = source.replace(/^\.\/src\//, "./dist/").replace(/\.ts$/, "");
  return { types: `${built}.d.ts`, default: `${built}.js` };
};

/** Conditions keep their order: the first that holds counts. */
const compiledAll = (entries: Entries): object =>
  mapped(entries, (entry) => (typeof entry === "string" ? compiled(entry) : mapped(entry, compiled)));

const mapped = <T>(of: Readonly<Record<string, T>>, to: (value: T) => object): object =>
  Object.fromEntries(Object.entries(of).map(([name, value]) => [name, to(value)]));

const sorted = (names: Names): Names => Object.fromEntries(Object.entries(names).toSorted(([a], [b]) => (a < b ? -1 : 1)));

const common = ({ version, gitHead, nodeMin }: Release) => ({
  ...{ version, license: "Apache-2.0", type: "module", gitHead },
  engines: { node: `>=${nodeMin}` },
});

/** A library as one of the packages that are published: whoever installs it has what it needs by it. */
export const libraryManifest = (own: Manifest, release: Release): object => ({
  ...insideManifest(own, release),
  dependencies: sorted(own.dependencies),
});

/**
 * A library inside the command, whose own manifest names what all of them need. Here nothing is named: npm takes what a bundled package
 * needs for a part of the bundle, and `npm install -g`, which lays it beside the bundle, would leave each of those folders empty.
 */
export function insideManifest(own: Manifest, release: Release): object {
  return {
    ...{ name: own.name, description: `${release.description} (${own.name.split("/")[1]})`, ...common(release) },
    sideEffects: false,
    exports: { ...compiledAll(own.exports), "./package.json": "./package.json" },
    ...(own.imports ? { imports: compiledAll(own.imports) } : {}),
    files: ["dist", "CHANGELOG.md"],
  };
}

/** What others made and our folders need; two folders that need one package need one version of it, or that is an error. */
function needed(manifests: readonly Manifest[], which: "dependencies" | "optionalDependencies"): Names {
  const all: Record<string, string> = {};
  for (const { name, [which]: of } of manifests) {
    for (const [other, version] of Object.entries(of ?? {})) {
      if (isOurs(other)) continue;
      if (all[other] !== undefined && all[other] !== version) throw new Error(`${name} needs ${other} ${version}, another ${all[other]}`);
      all[other] = version;
    }
  }
  return sorted(all);
}

/** The command with all of ours in it. `platforms`: the programs of others that it starts, where there are builds of them. */
export function commandManifest(manifests: ReadonlyMap<string, Manifest>, platforms: Names, release: Release): object {
  const all = [...manifests.values()];
  return {
    ...{ name: COMMAND.name, description: release.description, ...common(release) },
    bin: { xeno: "bin/xeno.js", xenoservers: "bin/xeno.js" },
    files: ["bin", "dist", "examples", "CHANGELOG.md"],
    dependencies: { ...needed(all, "dependencies"), ...Object.fromEntries(ours().map((name) => [name, release.version])) },
    bundleDependencies: ours(),
    optionalDependencies: sorted({ ...needed(all, "optionalDependencies"), ...platforms }),
  };
}

const ours = (): string[] => [...LIBRARIES, ...INSIDE].map((folder) => `@xenoservers/${folder}`);
