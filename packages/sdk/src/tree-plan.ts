/**
 * What of a tree that came back may be written below a folder, decided before a byte of it is. Who controls the inputs: a stranger's job
 * and its server (names, kinds, link targets). Invariant: no link that is let through leads outside, alone or through others, neither now
 * nor by what is written there later.
 */
import path from "node:path";
import { CONTROL, JOB_LIMITS } from "@xenoservers/protocol";
import type { InputEntry } from "@xenoservers/protocol/channel";
import { systemCode } from "@xenoservers/protocol/files";
import { nameBytes } from "./byte-names.ts";

/** A path as the kernel takes it, its end included (Linux: PATH_MAX). */
const PATH_BYTES_MAX = 4_096;
const NAME_BYTES_MAX = 255;
/** Where a name can lead elsewhere: to a stream of a file, a folder, a device, or a file of another name. */
export const WINDOWS = path.sep === "\\";
/** https://learn.microsoft.com/windows/win32/fileio/naming-a-file: what stands in no name, what a name does not end with, and devices. */
const NO_NAME_ON_WINDOWS = /[\\:<>"|?*]|[. ](?=\/|$)|(?:^|\/)(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])\s*(?=[./]|$)/i;
/** As many as Linux follows for one path. */
const LINKS_MAX = 40;

export type TreeLink = Extract<InputEntry, { kind: "link" }>;
export interface LeftOut {
  path: string;
  why: string;
}
/** What a link leads to, as it travels: slashes, whatever stands between names here. */
export const sentTarget = (target: string, windows = WINDOWS): string => (windows ? target.replaceAll("\\", "/") : target);

/**
 * A drive of another system's (FAT, exFAT, some shares) has no links, and Windows lets few make one: in words; null where it is not that.
 */
export function noLinksHere(error: unknown, windows = WINDOWS): string | null {
  const code = systemCode(error);
  if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EISDIR"].includes(code)) return null;
  // of exFAT Windows says EISDIR
  return windows && code !== "EISDIR"
    ? "a link, which Windows lets this user not make (its Developer Mode does)"
    : "a link, of which this file system has none";
}

/** What lies at a path already, looked at without following a link. */
export type Present = (at: string) => Promise<"folder" | "link" | "other" | null>;

export const parentOf = (at: string): string => at.slice(0, Math.max(0, at.lastIndexOf("/")));
const namesIn = (at: string): string[] => at.split("/").filter((name) => name !== "" && name !== ".");
const below = (folder: string, name: string): string => (folder === "" ? name : `${folder}/${name}`);

/** One key for all names that some file system takes for the same. */
export const folded = (at: string): string => at.normalize("NFKD").toUpperCase().toLowerCase().normalize("NFKD");

/** Why a path can be no file here, whatever lies there; null where it can. */
export function pathProblem(folder: string, at: string, windows = WINDOWS): string | null {
  if (at.search(CONTROL) >= 0) return "its name holds control characters";
  if (windows && NO_NAME_ON_WINDOWS.test(at)) return "its name means something else on this system";
  const long = Buffer.byteLength(folder) + nameBytes(at) + 2 > PATH_BYTES_MAX;
  return long || at.split("/").some((name) => nameBytes(name) > NAME_BYTES_MAX) ? "its name is too long for this machine" : null;
}

/** Every folder that the tree names or needs, parents first. Throws where a path is named twice, or leads through what is no folder. */
export function foldersOf(entries: readonly InputEntry[]): string[] {
  const kinds = new Map<string, InputEntry["kind"]>();
  for (const { path: at, kind } of entries) {
    if (kinds.has(at)) throw new Error(`the result names ${at} twice`);
    kinds.set(at, kind);
  }
  const folders = new Set<string>();
  const add = (at: string, user: string): void => {
    const missing: string[] = [];
    for (let above = at; above !== "" && !folders.has(above); above = parentOf(above)) {
      if ((kinds.get(above) ?? "directory") !== "directory")
        throw new Error(`the result wants to write ${user} through ${above}, which is no folder`);
      missing.push(above);
    }
    for (const above of missing.reverse()) folders.add(above);
  };
  for (const { path: at, kind } of entries) {
    add(kind === "directory" ? at : parentOf(at), at);
    if (folders.size > JOB_LIMITS.entries) throw new Error(`the result names more than ${JOB_LIMITS.entries} folders`);
  }
  return [...folders];
}

const OUTSIDE = "a link that points outside";

/** Where links lead to, each as the kernel would go. */
class Links {
  readonly #links: ReadonlyMap<string, TreeLink>;
  readonly #folders: ReadonlySet<string>;
  readonly #files: ReadonlySet<string>;
  readonly #present: Present;
  readonly #seen = new Map<string, ReturnType<Present>>();
  /** How many links are passed behind each, and where it ends; a string is why it must not be made. */
  readonly #known = new Map<string, { end: string; passed: number } | string>();

  constructor(links: readonly TreeLink[], folders: readonly string[], files: readonly string[], present: Present) {
    for (const at of ambiguous(links, [...folders, ...files]))
      this.#known.set(at, "a link that has another's name but for the case of its letters");
    this.#links = new Map(links.map((link) => [link.path, link]));
    this.#folders = new Set(["", ...folders]);
    this.#files = new Set(files);
    this.#present = present;
  }

  async #kindOf(at: string): ReturnType<Present> {
    if (this.#folders.has(at)) return "folder";
    if (this.#files.has(at)) return "other";
    const seen = this.#seen.get(at) ?? this.#present(at);
    this.#seen.set(at, seen);
    return seen;
  }

  /** `depth`: of links being looked at: a circle ends it as a long chain does. */
  async follow(link: TreeLink, depth = 0): Promise<{ end: string; passed: number } | string> {
    if (depth >= LINKS_MAX) return "a link through too many others";
    const known = this.#known.get(link.path) ?? (await this.#walk(link, depth));
    // too deep from here may be right from elsewhere
    if (depth === 0 || typeof known !== "string") this.#known.set(link.path, known);
    return known;
  }

  async #walk({ path: from, target }: TreeLink, depth: number): Promise<{ end: string; passed: number } | string> {
    if (target.startsWith("/") || (WINDOWS && /[\\:]/.test(target))) return OUTSIDE;
    if (target.includes("\0")) return "a link whose target is no path";
    let at = parentOf(from);
    let passed = 1;
    const names = namesIn(target);
    for (const [i, name] of names.entries()) {
      if (name === "..") {
        // up again from what is no folder yet would lead elsewhere once it is a link
        if (at === "" || (await this.#kindOf(at)) !== "folder") return OUTSIDE;
        at = parentOf(at);
        continue;
      }
      const next = below(at, name);
      const link = this.#links.get(next);
      if (!link) {
        const kind = await this.#kindOf(next);
        if (kind === "link") return "a link through one that was here before";
        at = next;
        if (kind === "folder") continue;
        // nothing lies below it
        const rest = names.slice(i + 1);
        return rest.includes("..") ? OUTSIDE : { end: [at, ...rest].join("/"), passed };
      }
      const led = await this.follow(link, depth + 1);
      if (typeof led === "string") return led;
      passed += led.passed;
      if (passed > LINKS_MAX) return "a link through too many others";
      at = led.end;
    }
    return { end: at, passed };
  }
}

/** Of paths that some file system takes for one: the others, by each. */
export function twinsOf(entries: readonly { path: string }[]): (at: string) => readonly string[] {
  const alike = Map.groupBy(
    entries.map(({ path: at }) => at),
    folded,
  );
  return (at) => alike.get(folded(at))?.filter((other) => other !== at) ?? [];
}
export const SAME_HERE = "this file system takes its name for that of another that came";

/** Links that some file system takes for something else of the tree, and that would lead through each other there. */
function ambiguous(links: readonly TreeLink[], others: readonly string[]): Set<string> {
  const seen = new Map<string, string>(others.map((at) => [folded(at), at]));
  const twice = links.filter(({ path: at }) => {
    const before = seen.get(folded(at));
    if (before === undefined) seen.set(folded(at), at);
    return before !== undefined && before !== at;
  });
  return new Set(twice.map(({ path: at }) => at));
}

/** The links that must not be made, and why. */
export async function refusedLinks(
  links: readonly TreeLink[],
  folders: readonly string[],
  files: readonly string[],
  present: Present,
): Promise<ReadonlyMap<string, string>> {
  const walker = new Links(links, folders, files, present);
  const refused = new Map<string, string>();
  for (const link of links) {
    const led = await walker.follow(link);
    if (typeof led === "string") refused.set(link.path, led);
  }
  return refused;
}
