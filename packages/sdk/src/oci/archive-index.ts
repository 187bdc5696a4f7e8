/** What lies in an archive of an image, and where in it. Who controls the inputs: whoever made the archive, every byte. */
import { TarDamage, readTar, type ArchiveBytes } from "@xenoservers/protocol/archive";

/**
 * What an archive of an image holds that anybody asks for: files, and links to them, as `docker save` once wrote them. Some lead from where
 * they lie, some from the top: the first that leads to something counts.
 */
export type Held = { is: "file"; from: number; size: number } | { is: "link"; to: readonly string[] };
const HELD_MAX = 100_000;
/** Of names and targets together: a name may be as long as an extended header is, and a link's is kept in two ways. */
const HELD_TEXT_MAX = 16 * 1024 * 1024;
const LINKS_MAX = 8;

/** As every name of a file in an archive is looked for: `./a//b` is `a/b`. */
function plainName(name: string): string {
  const parts: string[] = [];
  for (const part of name.split("/")) {
    if (part === ".." && parts.length > 0 && parts.at(-1) !== "..") parts.pop();
    else if (part === ".." ? !name.startsWith("/") : part !== "" && part !== ".") parts.push(part);
  }
  return parts.join("/");
}

/** By the name that is looked for. Throws TarDamage where it is no archive. */
export async function heldIn(archive: ArchiveBytes, bytes: number): Promise<Map<string, Held>> {
  const held = new Map<string, Held>();
  let text = 0;
  for await (const { name, kind, size, pieces, target } of readTar(archive, bytes)) {
    text += 2 * (name.length + target.length);
    if (text > HELD_TEXT_MAX) throw new TarDamage(`the names of its files take more than ${HELD_TEXT_MAX} bytes`);
    const at = plainName(name);
    if (kind === "symlink") held.set(at, { is: "link", to: [`${at.slice(0, at.lastIndexOf("/") + 1)}${target}`, target].map(plainName) });
    else if (kind === "link") held.set(at, { is: "link", to: [plainName(target)] });
    else if (kind === "file") {
      const [first] = pieces; // without holes they lie one after the other
      const stored = pieces.reduce((sum, { length }) => sum + length, 0);
      if (stored !== size) throw new TarDamage(`${at} has holes`);
      held.set(at, { is: "file", from: first?.from ?? 0, size });
    }
    if (held.size > HELD_MAX) throw new TarDamage(`it holds more than ${HELD_MAX} files`);
  }
  return held;
}

export type HeldFile = Extract<Held, { is: "file" }>;

/** Behind links, too; null: it is not there. */
export function foundIn(held: ReadonlyMap<string, Held>, wanted: string): HeldFile | null {
  let found = held.get(plainName(wanted));
  for (let links = 0; found?.is === "link" && links < LINKS_MAX; links++) {
    const to = found.to.find((name) => held.has(name));
    found = to === undefined ? undefined : held.get(to);
  }
  return found?.is === "file" ? found : null;
}
