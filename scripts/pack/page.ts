/**
 * The market's page as few files: its script, what that loads later, its style, and the licences of what others made of it. Their names
 * have the digests of their bytes in them. Started by itself it says where the page of this checkout lies.
 */
import { createHash } from "node:crypto";
import { cp, mkdir, readFile, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { rolldown } from "rolldown";

const SOURCES = ["dashboard", "market", "protocol", "sdk", "verify"] as const;
const MAIN = "packages/dashboard/src/main.tsx";
const STYLE = "packages/dashboard/src/page.css";
/** Of ours, what has an effect by being loaded. */
const EFFECTS: readonly string[] = [MAIN, "packages/dashboard/src/no-eval.ts"];
const CACHE = "node_modules/.cache/xeno-page";
/** What a published package names the text of its licence. */
const LICENCE = /^licen[cs]e(?:\.(?:md|txt))?$/i;

/** The name for all of zod keeps all of it, in forty languages. Lines stay lines. */
const withoutName = (code: string): string => code.replace(/^import \{ z \} from "zod"/m, 'import * as z from "zod"');

const sha256 = (bytes: string | Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** Of a file of another's package, the folder of that package. */
function packageOf(file: string): string | null {
  const [, folder] = /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(file) ?? [];
  return folder ?? null;
}

async function licences(files: readonly string[]): Promise<string> {
  const texts: string[] = [];
  for (const folder of [...new Set(files.flatMap((file) => packageOf(file) ?? []))].toSorted()) {
    const { name, version, license } = JSON.parse(await readFile(path.join(folder, "package.json"), "utf8")) as Record<string, string>;
    const file = (await readdir(folder)).find((each) => LICENCE.test(each));
    const text = file === undefined ? "" : await readFile(path.join(folder, file), "utf8");
    texts.push(`${name} ${version} (${license})\n\n${text.trim()}\n`);
  }
  return texts.join(`\n${"-".repeat(72)}\n\n`);
}

/** Writes the page to `out`, which is new, with `page.json`: which of its files a browser begins with. */
export async function bundlePage(root: string, out: string): Promise<void> {
  let inputs: string[] = [];
  const made = await rolldown({
    ...{ cwd: root, input: { app: path.join(root, MAIN) }, platform: "browser", moduleTypes: { ".css": "text" } },
    transform: { define: { "process.env.NODE_ENV": '"production"' }, jsx: { runtime: "automatic" } },
    treeshake: {
      moduleSideEffects: (id, external) => !external && (id.includes("/node_modules/") || EFFECTS.includes(path.relative(root, id))),
    },
    plugins: [
      {
        name: "inputs",
        transform: (code, id) => (/\.tsx?$/.test(id) ? { code: withoutName(code), map: null } : null),
        buildEnd() {
          inputs = [...this.getModuleIds()];
        },
      },
    ],
  });
  const names = { entryFileNames: "[name]-[hash].js", chunkFileNames: "[name]-[hash].js" };
  const { output } = await made.write({ dir: out, format: "esm", ...names, minify: true }).finally(() => made.close());
  const css = await readFile(path.join(root, STYLE));
  const [style, [entry]] = [`page-${sha256(css).slice(0, 8)}.css`, output];
  await writeFile(path.join(out, style), css);
  await writeFile(path.join(out, "licences.txt"), await licences(inputs));
  await writeFile(path.join(out, "page.json"), JSON.stringify({ script: entry.fileName, style }));
}

/** As they lie there now: another size, time or name is another state. */
async function stateOf(root: string): Promise<string> {
  const lines: string[] = [];
  for (const name of SOURCES) {
    const folder = path.join(root, "packages", name, "src");
    for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const file = path.join(entry.parentPath, entry.name);
      const { size, mtimeMs } = await stat(file);
      lines.push(`${path.relative(root, file)} ${size} ${mtimeMs}`);
    }
  }
  for (const file of ["package-lock.json", "scripts/pack/page.ts"]) lines.push(sha256(await readFile(path.join(root, file))));
  return sha256(lines.toSorted().join("\n")).slice(0, 16);
}

/** The folder of the page of these very sources: built now where it is not there yet. */
export async function builtPage(root: string): Promise<string> {
  const cache = path.join(root, CACHE);
  const folder = path.join(cache, await stateOf(root));
  if (await isThere(folder)) return folder;
  await mkdir(cache, { recursive: true });
  const fresh = path.join(cache, `.${process.pid}-${Date.now()}`);
  try {
    await bundlePage(root, fresh);
    for (const old of await readdir(cache)) if (!old.startsWith(".")) await rm(path.join(cache, old), { recursive: true, force: true });
    await rename(fresh, folder).catch(async (error: unknown) => {
      // another program has just built the same
      if (!(await isThere(folder))) throw error;
    });
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
  return folder;
}

const isThere = (folder: string): Promise<boolean> =>
  stat(folder).then(
    () => true,
    () => false,
  );

/** For a package that is published. */
export async function copyPage(root: string, to: string): Promise<void> {
  await cp(await builtPage(root), to, { recursive: true });
}

if (import.meta.main) console.log(await builtPage(path.resolve(import.meta.dirname, "../..")));
