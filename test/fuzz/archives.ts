/** Tar archives that programs of others write: GNU tar, bsdtar, Python; whichever of them is on this machine, in every form that they know. */
import { execFileSync } from "node:child_process";
import {
  linkSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

/** Without what no one can set. */
const PAX = ["tar", "-b1", "--format=pax", "--pax-option=delete=atime,delete=ctime,exthdr.name=%d/PaxHeaders/%f"];
const WRITERS: readonly (readonly string[])[] = [
  ...["v7", "oldgnu", "gnu", "ustar"].map((form) => ["tar", "-b1", `--format=${form}`, "-cf"]),
  [...PAX, "-cf"],
  ...["0.0", "0.1", "1.0"].map((form) => [...PAX, "--sparse", `--sparse-version=${form}`, "-cf"]),
  ["tar", "-b1", "--format=gnu", "--sparse", "-cf"],
  ...["ustar", "pax", "gnutar"].map((form) => ["bsdtar", "-b1", `--format=${form}`, "-cf"]),
  ["python3", "-m", "tarfile", "-c"],
];

/** More than one block of a file system. */
const HOLE_BYTES = 9_000;
const WRITTEN_AT = new Date("2026-01-01T00:00:00Z");

/** Names and kinds that archives write in their own ways. */
function everyKind(folder: string): void {
  mkdirSync(path.join(folder, "d", "e"), { recursive: true });
  writeFileSync(path.join(folder, "a.txt"), "hello\n");
  writeFileSync(path.join(folder, "d", `${"long".repeat(30)}`), "long name");
  writeFileSync(path.join(folder, "d", "é ü"), "");
  writeFileSync(path.join(folder, "d", ".wh.gone"), "");
  linkSync(path.join(folder, "a.txt"), path.join(folder, "d", "hard"));
  symlinkSync("../../a.txt", path.join(folder, "d", "e", "soft"));
  writeFileSync(path.join(folder, "holes"), "x");
  truncateSync(path.join(folder, "holes"), HOLE_BYTES);
}

const made = new Map<Fill, Uint8Array[]>();

type Fill = (folder: string) => void;

/** Of a folder that `fill` fills, the same at each call. */
export async function archives(fill: Fill = everyKind): Promise<readonly Uint8Array[]> {
  const before = made.get(fill);
  if (before) return before;
  const folder = mkdtempSync(path.join(tmpdir(), "xeno-archives-"));
  try {
    fill(folder);
    // the same archives in every run, but for the number of its process that GNU tar writes into some
    const all = readdirSync(folder, { recursive: true, encoding: "utf8" }).sort().reverse();
    for (const name of all) lutimesSync(path.join(folder, name), WRITTEN_AT, WRITTEN_AT);
    const names = readdirSync(folder).sort();
    const found: Uint8Array[] = [];
    for (const [program = "", ...args] of WRITERS) {
      const archive = `${folder}.tar`;
      try {
        execFileSync(program, [...args, archive, ...names], { cwd: folder, stdio: "ignore" });
        found.push(new Uint8Array(readFileSync(archive)));
      } catch {
        continue; // it is not on this machine, or knows no such form
      } finally {
        rmSync(archive, { force: true });
      }
    }
    if (found.length === 0) throw new Error("no program on this machine writes tar archives: install tar");
    made.set(fill, found);
    return found;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A file of these bytes, as far as readers of archives ask. */
export function handleOf(bytes: Uint8Array): FileHandle {
  const read = async (into: Buffer, at: number, length: number, from: number) => {
    const part = bytes.subarray(from, from + length);
    into.set(part, at);
    return { bytesRead: part.length, buffer: into };
  };
  return { read } as unknown as FileHandle;
}
