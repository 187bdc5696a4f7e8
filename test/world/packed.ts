/** Packages of npm, as they are published: fetched once, unpacked, with nothing installed. */
import { execFileSync } from "node:child_process";
import { mkdtempSync } from "node:fs";
import path from "node:path";

const packages = new Map<string, string>();

/** The package's folder, below `folder`. */
export function packed(name: string, folder: string): string {
  const there = packages.get(name);
  if (there !== undefined) return there;
  const own = mkdtempSync(path.join(folder, "package-"));
  const archive = execFileSync("npm", ["pack", "--silent", name], { cwd: own, encoding: "utf8" }).trim();
  execFileSync("tar", ["xzf", archive], { cwd: own });
  packages.set(name, path.join(own, "package"));
  return path.join(own, "package");
}
