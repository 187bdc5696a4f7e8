/** The folders that npm packs, one for each package that is published. */
import { chmod, cp, mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { bundleCommand } from "./bundle.ts";
import { compile, compileReferences } from "./compile.ts";
import { commandManifest, insideManifest, libraryManifest, type Release } from "./manifest.ts";
import { copyPage } from "./page.ts";
import { COMMAND, INSIDE, LIBRARIES, type Manifest } from "./packages.ts";

const FOLDERS = [COMMAND.folder, ...LIBRARIES, ...INSIDE];

export async function manifestAt(folder: string): Promise<Manifest> {
  return JSON.parse(await readFile(path.join(folder, "package.json"), "utf8")) as Manifest;
}

const writeManifest = (folder: string, manifest: object): Promise<void> =>
  writeFile(path.join(folder, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);

/** What lies in each package, whoever opens it. */
async function copyTexts(root: string, folder: string, to: string): Promise<void> {
  for (const name of ["LICENSE", "CHANGELOG.md"]) await cp(path.join(root, name), path.join(to, name));
  await cp(path.join(root, folder, "README.md"), path.join(to, "README.md"));
}

async function library(root: string, folder: string, code: string, to: string, manifest: object): Promise<void> {
  await mkdir(to, { recursive: true });
  await cp(code, path.join(to, "dist"), { recursive: true });
  await copyTexts(root, `packages/${folder}`, to);
  await writeManifest(to, manifest);
}

/** A program beside its launchers: by npm (`xeno.js`, whatever Node) and without (`xeno`, the Node beside it). */
export async function assembleCommand(root: string, code: string, to: string): Promise<void> {
  const own = path.join(root, "packages", COMMAND.folder);
  await mkdir(path.join(to, "bin"), { recursive: true });
  await cp(code, path.join(to, "dist"), { recursive: true });
  await copyPage(root, path.join(to, "dist/page"));
  const examples = path.join(own, "examples");
  // a program on the library is for whoever has its TypeScript
  const filter = (from: string): boolean => path.relative(examples, from).split(path.sep)[0] !== "sdk";
  await cp(examples, path.join(to, "examples"), { recursive: true, dereference: true, filter });
  await cp(path.join(root, "scripts/pack/xeno.js"), path.join(to, "bin/xeno.js"));
  await cp(path.join(own, "bin/xeno"), path.join(to, "bin/xeno"));
  for (const name of ["xeno.js", "xeno"]) await chmod(path.join(to, "bin", name), 0o755);
  await copyTexts(root, ".", to);
}

/** Compiles everything and gives the folders to pack, by package name. `out`: an empty folder. */
export async function assemble(root: string, out: string, release: Release, platforms: Readonly<Record<string, string>>) {
  const manifests = new Map<string, Manifest>();
  const codeOf = (folder: string): string => path.join(out, "code", folder);
  await compileReferences(root);
  for (const folder of FOLDERS) {
    manifests.set(folder, await manifestAt(path.join(root, "packages", folder)));
    if (folder === COMMAND.folder) await bundleCommand(root, codeOf(folder));
    else await compile(root, folder, codeOf(folder));
  }
  const packed = new Map<string, string>();
  for (const folder of LIBRARIES) {
    const to = path.join(out, "packages", folder);
    await library(root, folder, codeOf(folder), to, libraryManifest(manifests.get(folder)!, release));
    packed.set(`@xenoservers/${folder}`, to);
  }
  const whole = path.join(out, "packages", COMMAND.name);
  await assembleCommand(root, codeOf(COMMAND.folder), whole);
  for (const folder of [...LIBRARIES, ...INSIDE]) {
    const to = path.join(whole, "node_modules/@xenoservers", folder);
    await library(root, folder, codeOf(folder), to, insideManifest(manifests.get(folder)!, release));
  }
  await writeManifest(whole, commandManifest(manifests, platforms, release));
  packed.set(COMMAND.name, whole);
  return packed;
}
