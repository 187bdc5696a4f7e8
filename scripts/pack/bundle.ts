/**
 * The command as few files: main.js, and what some verbs alone need beside it. A verb loads what it uses of the libraries, not all of
 * them. A broker and a server stay outside: they read files of their own folders, and start programs there.
 */
import { readFile, readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { rolldown } from "rolldown";
import { LIBRARIES } from "./packages.ts";

/** Of others' packages these are in it, as each verb needs them; they are installed beside it all the same, with their licences. */
const WITHIN = [
  ...["@colors/colors", "ansi-regex", "cli-table3", "commander", "emoji-regex", "is-fullwidth-code-point"],
  ...["string-width", "strip-ansi", "zod", "@noble/ciphers"],
];
const MAIN = "packages/cli/src/main.ts";
/** What the command starts of its own folder (guests/src/own-program.ts), by name: each loads what it needs alone. */
const STARTED: Programs = {
  "worker/main": "packages/guests/src/worker/main.ts",
  "prepare-runtime": "packages/guests/src/prepare-runtime.ts",
  "compile-runtime": "packages/guests/src/compile-runtime.ts",
};
const FOLDERS = ["cli", "engine", "guests", "xenoserver", ...LIBRARIES];

/** What the version alone takes; what all verbs begin with; and what so many parts of the command need that one file of it is read sooner than many. */
const SHARED_BY_MIN = 44;
const GROUPS = [
  { name: "version", test: /cli\/src\/(main|own-\w+|output\/terminal)\.ts$|protocol\/src\/visible\.ts$/, priority: 4 },
  {
    name: "start",
    test: /^\0node:|cli\/src\/output\/leave\.ts$|protocol\/src\/files\.ts$|sdk\/src\/node\/home\.ts$/,
    priority: 3,
  },
  // what starts a guest while the rest is read
  {
    name: "ahead",
    test: /cli\/src\/local\/(ahead|local-module|scratch)\.ts$|guests\/src\/(\w+-)*\w+\.ts$|guests\/src\/(worker|programs|qemu\/machine\/box)|engine\/src\/(version|wasi\/limits)\.ts$/,
    priority: 2,
  },
  { name: "common", minShareCount: SHARED_BY_MIN, priority: 1 },
];

/**
 * An import of these makes a name of everything in them, for which much is loaded that nobody here uses. What is imported of them is read
 * of Node itself in their place, before anything that may need it: they import nothing.
 */
const OF_NODE = ["process", "util", "fs", "fs/promises", "crypto", "child_process", "net", "os", "timers/promises"].map(
  (name) => `node:${name}`,
);
const ofNode = (id: string): string =>
  `module.exports = (process.getBuiltinModule ?? require("node:module").createRequire("/"))(${JSON.stringify(id)});`;
const OWN_ID = "\0";

const packageOf = (id: string): string => id.split("/", id.startsWith("@") ? 2 : 1).join("/");

/** What runs a job on this machine has of the owner's code the part that does it. */
const isLocal = (root: string, importer: string | undefined): boolean =>
  /^(cli\/src\/local\/(ahead|local-module|local-run)\.ts$|(engine|guests|xenoserver)\/)/.test(
    path.relative(path.join(root, "packages"), importer ?? ""),
  );

/** `id`: as it stands where it is imported. */
function isOutside(root: string, id: string, importer: string | undefined): boolean {
  if (/^[./#]/.test(id) || OF_NODE.includes(id)) return false;
  const name = packageOf(id);
  if (["@xenoservers/guests", "@xenoservers/xenoserver"].includes(name)) return !isLocal(root, importer);
  return name === "@xenoservers/xenocorp" || !(name.startsWith("@xenoservers/") || WITHIN.includes(name));
}

/** Only what is started has an effect by being loaded: of ours, and of what stays outside, nothing stays that nobody uses. */
const hasEffects = (root: string, started: readonly string[]) => (id: string, external: boolean) =>
  !external && (!id.startsWith(path.join(root, "packages/")) || started.includes(id));

/** Names the sources from the repository's root on, wherever it lies. */
const nameIn = (root: string) => (source: string, map: string) =>
  path.relative(root, path.resolve(path.dirname(map), source)).replace(/^packages\//, "");

/** The name for all of zod keeps all of it, in forty languages. Lines stay lines, so that source maps hold. */
const withoutName = (code: string): string => code.replace(/^import \{ z \} from "zod"/m, 'import * as z from "zod"');

type Programs = Readonly<Record<string, string>>;

/** Writes these programs, by name, and gives the files that they were made of. */
async function bundle(root: string, out: string, programs: Programs, groups: typeof GROUPS | []): Promise<string[]> {
  const input = Object.fromEntries(Object.entries(programs).map(([name, file]) => [name, path.join(root, file)]));
  let inputs: string[] = [];
  const made = await rolldown({
    ...{ cwd: root, input, platform: "node" },
    external: (id, importer) => isOutside(root, id, importer),
    treeshake: { moduleSideEffects: hasEffects(root, Object.values(input)) },
    plugins: [
      {
        name: "node",
        resolveId: (id) => (OF_NODE.includes(id) ? OWN_ID + id : null),
        load: (id) => (id.startsWith(OWN_ID) && OF_NODE.includes(id.slice(1)) ? { code: ofNode(id.slice(1)), moduleType: "js" } : null),
      },
      {
        name: "inputs",
        transform: (code, id) => (id.endsWith(".ts") ? { code: withoutName(code), map: null } : null),
        buildEnd() {
          inputs = [...this.getModuleIds()];
        },
      },
    ],
  });
  const names = { entryFileNames: "[name].js", chunkFileNames: "[name]-[hash].js" };
  await made
    .write({ dir: out, format: "esm", ...names, codeSplitting: { groups }, sourcemap: true, sourcemapPathTransform: nameIn(root) })
    .finally(() => made.close());
  return inputs.filter((id) => path.isAbsolute(id) && !id.includes("/node_modules/"));
}

/** Writes the command to `out`, and gives all files of ours that it was made of. */
export async function bundleCommand(root: string, out: string): Promise<string[]> {
  const inputs = await bundle(root, out, { main: MAIN }, GROUPS);
  for (const [name, file] of Object.entries(STARTED)) inputs.push(...(await bundle(root, out, { [name]: file }, [])));
  for (const file of await readdir(out, { recursive: true })) if (file.endsWith(".map")) await nameRoot(path.join(out, file));
  const manifests = FOLDERS.map((folder) => `packages/${folder}/package.json`);
  return [...new Set([...inputs, ...[...manifests, "package-lock.json"].map((file) => path.join(root, file))])];
}

async function nameRoot(map: string): Promise<void> {
  const told = JSON.parse(await readFile(map, "utf8")) as object;
  await writeFile(map, JSON.stringify({ ...told, sourceRoot: "xenoservers:///" }));
}
