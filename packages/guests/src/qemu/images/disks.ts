/** Blank disks, made once per size and copied: an empty overlay, and the formatted disk on which an OCI guest writes. */
import { constants } from "node:fs";
import { chmod, copyFile, open, rename } from "node:fs/promises";
import path from "node:path";
import { run } from "../../programs/start.ts";
import { filesOnDisk } from "@xenoservers/protocol";
import type { Command } from "../../command.ts";
import { SYSTEM_PATH } from "../machine/box.ts";
import { inOwnBox } from "../machine/own-box.ts";
import { cached, forEverybody, type Cache } from "./cache.ts";
import { checkImage } from "./image.ts";
import { Refusal } from "../refusal.ts";
import { VM_FILES } from "../machine/plan.ts";

const MIB = 1024 * 1024;
const CHECK_MS = 120_000;
/** Of what writes one disk anew, its own tables and what is under way. */
const CONVERT_MIB = 512;

/** An empty qcow2 of that size; what lies under it is said when it is opened, never in the file. */
export async function blankOverlay(cache: Cache, diskMib: number, to: string): Promise<void> {
  const blank = await cached(forEverybody(cache), `overlay-${diskMib}.qcow2`, async (part) => {
    await run("qemu-img", ["create", "-q", "-f", "qcow2", part, `${diskMib}M`]);
  });
  await copyFile(blank, to);
  await chmod(to, 0o600);
}

/** A sparse raw disk of zeros; read-only, under overlays. */
export function blankRaw(cache: Cache, diskMib: number): Promise<string> {
  return cached(forEverybody(cache), `blank-${diskMib}.raw`, async (part) => {
    const handle = await open(part, "w");
    await handle.truncate(diskMib * MIB);
    await handle.close();
  });
}

/**
 * A sparse raw disk with an empty ext4; read-only, under overlays. Blocks and files are as vm-rules.ts counts them, whatever the
 * distribution's own.
 */
export function blankFormatted(cache: Cache, diskMib: number): Promise<string> {
  return cached(forEverybody(cache), `ext4-4k-${diskMib}.raw`, async (part) => {
    const handle = await open(part, "w");
    await handle.truncate(diskMib * MIB);
    await handle.close();
    const sizes = ["-b", "4096", "-I", "256", "-N", String(filesOnDisk(diskMib))];
    const words = [
      "-q",
      "-F",
      "-t",
      "ext4",
      "-m",
      "0",
      "-O",
      "^metadata_csum_seed",
      "-E",
      "lazy_itable_init=1,lazy_journal_init=1,nodiscard",
    ];
    await run("mke2fs", [...words, ...sizes, part], {
      env: { PATH: SYSTEM_PATH },
    });
  });
}

export interface Base {
  file: string;
  format: "qcow2" | "raw";
}

/** What came out of a box, if it is a file: never what a link in its place leads to. */
async function readableByAll(file: string): Promise<void> {
  const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    if (!(await handle.stat()).isFile()) throw new Error("what came out of the box is no file");
    await handle.chmod(0o444);
  } finally {
    await handle.close();
  }
}

/** A machine's overlay and what lies under it as one disk. The overlay is QEMU's word: its header is looked at, and it is read in a box. */
export async function flatten({ box, uid, base, to }: { box: string; uid: number; base: Base; to: string }): Promise<void> {
  const overlay = path.join(box, VM_FILES.disk);
  const checked = await checkImage(overlay, "qcow2", 2 ** 40);
  if (!checked.ok) throw new Error(`the machine's disk is not what it was: ${checked.why}`);
  const layered = JSON.stringify({
    driver: "qcow2",
    file: { driver: "file", filename: `/w/${VM_FILES.disk}`, locking: "off" },
    backing: {
      driver: base.format,
      ...(base.format === "qcow2" ? { backing: null } : {}),
      file: { driver: "file", filename: "/img/disk", locking: "off" },
    },
  });
  const fileMibMax = Math.ceil(Number(checked.virtualBytes) / MIB) + 64;
  const work = { folder: box, files: [{ host: base.file, name: "disk" }], fileMibMax, uid, memoryMib: CONVERT_MIB };
  const words = ["qemu-img", "convert", "-q", "-O", "qcow2", `json:${layered}`, "/w/flat.qcow2"];
  await inOwnBox(work, words, async ([program, ...args]) => {
    await run(program, args, { timeout: 600_000, killSignal: "SIGKILL" });
  });
  await rename(path.join(box, "flat.qcow2"), to);
  await readableByAll(to);
}

interface Said {
  code?: number | string | null;
  killed?: boolean;
  stderr?: string;
  stdout?: string;
}

/** What `qemu-img check` ends with: damage, and wasted room with nothing wrong. */
const DAMAGE = 2;
const LEAKS = 3;

/** QEMU's own check of an image, run where QEMU runs. Throws Refusal where it finds damage or comes to no end. */
export async function checkInside(command: Command, signal?: AbortSignal): Promise<void> {
  const [program, ...args] = command;
  const bounds = { timeout: CHECK_MS, killSignal: "SIGKILL", ...(signal ? { signal } : {}) } as const;
  await run(program, args, bounds).catch((error: Error & Said) => {
    if (error.code === LEAKS) return;
    if (signal?.aborted === true) throw error;
    const said = `${error.stdout ?? ""}\n${error.stderr ?? ""}`.trim().split("\n").at(-1) ?? "";
    if (error.killed === true) throw new Refusal("untold", `the image could not be checked within ${CHECK_MS / 1_000} s`);
    // what is not the checker's own word is the box's, and so the host's
    if (error.code !== DAMAGE && !said.startsWith("qemu-img:")) throw error;
    throw new Refusal("bytes", `the image is corrupt: ${said.slice(0, 200)}`);
  });
}
