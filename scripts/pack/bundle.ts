/**
 * The command as few files: main.js, and what some verbs alone need beside it. A verb loads what it uses of the libraries, not all of
 * them. What runs guests, and what a broker or a server is, stays outside: it starts programs of its own folder.
 */
import { cp, readFile, readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { rolldown } from "rolldown";
import { INSIDE, LIBRARIES } from "./packages.ts";

/** Of others' packages these are in it, as each verb needs them; they are installed beside it all the same, with their licences. */
const WITHIN = [
  ...["@colors/colors", "ansi-regex", "cli-table3", "commander", "emoji-regex", "env-paths", "is-fullwidth-code-point"],
  ...["is-safe-filename", "string-width", "strip-ansi", "zod"],
];
const MAIN = "packages/cli/src/main.ts";
/** Files that the code reads beside itself. */
const READ = ["packages/sdk/src/node/sitecustomize.py"];

/** What the version alone takes; and what so many parts of the command need that one file of it is read sooner than many. */
const SHARED_BY_MIN = 30;
const GROUPS = [
  { name: "start", test: /cli\/src\/(main|own-\w+|output\/terminal)\.ts$|protocol\/src\/visible\.ts$/, priority: 2 },
  { name: "common", minShareCount: SHARED_BY_MIN, priority: 1 },
];

const packageOf = (id: string): string => id.split("/", id.startsWith("@") ? 2 : 1).join("/");

/** By a name that is imported, as it stands there. */
function isOutside(id: string): boolean {
  if (/^[./#]/.test(id)) return false;
  const name = packageOf(id);
  return INSIDE.some((folder) => name === `@xenoservers/${folder}`) || !(name.startsWith("@xenoservers/") || WITHIN.includes(name));
}

/** Only main.ts has an effect by being loaded: of ours nothing stays that nobody uses. */
const hasEffects = (root: string) => (id: string) => !id.startsWith(path.join(root, "packages/")) || id === path.join(root, MAIN);

/** Names the sources from the repository's root on, wherever it lies. */
const nameIn = (root: string) => (source: string, map: string) =>
  path.relative(root, path.resolve(path.dirname(map), source)).replace(/^packages\//, "");

/** The name for all of zod keeps all of it, in forty languages. Lines stay lines, so that source maps hold. */
const withoutName = (code: string): string => code.replace(/^import \{ z \} from "zod"/m, 'import * as z from "zod"');

/** Writes the command to `out` and gives all files that it was made of. */
export async function bundleCommand(root: string, out: string): Promise<string[]> {
  const inputs: string[] = [];
  const bundle = await rolldown({
    cwd: root,
    input: { main: path.join(root, MAIN) },
    platform: "node",
    external: isOutside,
    treeshake: { moduleSideEffects: hasEffects(root) },
    plugins: [
      {
        name: "inputs",
        transform: (code, id) => (id.endsWith(".ts") ? { code: withoutName(code), map: null } : null),
        buildEnd() {
          inputs.push(...[...this.getModuleIds()].filter((id) => path.isAbsolute(id)));
        },
      },
    ],
  });
  try {
    await bundle.write({
      dir: out,
      format: "esm",
      entryFileNames: "[name].js",
      chunkFileNames: "[name]-[hash].js",
      codeSplitting: { groups: GROUPS },
      sourcemap: true,
      sourcemapPathTransform: nameIn(root),
    });
  } finally {
    await bundle.close();
  }
  for (const file of await readdir(out)) if (file.endsWith(".map")) await nameRoot(path.join(out, file));
  for (const file of READ) await cp(path.join(root, file), path.join(out, path.basename(file)));
  const manifests = ["cli", ...LIBRARIES].map((folder) => `packages/${folder}/package.json`);
  return [
    ...inputs.filter((id) => !id.includes("/node_modules/")),
    ...[...READ, ...manifests, "package-lock.json"].map((file) => path.join(root, file)),
  ];
}

async function nameRoot(map: string): Promise<void> {
  const told = JSON.parse(await readFile(map, "utf8")) as object;
  await writeFile(map, JSON.stringify({ ...told, sourceRoot: "xenoservers:///" }));
}
