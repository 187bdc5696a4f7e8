/** What a page's reader has to boot, made of Debian's packages. */
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { findKernel } from "@xenoservers/guests";
import { MODE, cpio } from "../../../packages/guests/src/qemu/images/cpio.ts";
import { busyboxLayout } from "../../vm/busybox-layout.ts";
import type { Guest } from "./guest.ts";

const made = new Map<string, Promise<string>>();

/** Once for a reader, however often the page says it. */
const onceFor =
  (name: string, make: (guest: Guest) => Promise<string>) =>
  (guest: Guest): Promise<string> => {
    const key = `${guest.home} ${name}`;
    const there = made.get(key) ?? make(guest);
    made.set(key, there);
    return there;
  };

/** In place of a registry's image. */
export const layoutHere = onceFor("layout", async ({ home }) => {
  const folder = path.join(home, "images");
  await mkdir(folder, { recursive: true });
  return `oci:${await busyboxLayout(folder)}:box`;
});

export const kernelHere = onceFor("kernel", async ({ home }) => {
  const found = await findKernel();
  if (!found) throw new Error("no kernel: apt install linux-image-cloud-amd64");
  const file = path.join(home, "vmlinuz-here");
  await copyFile(found.kernel, file);
  return file;
});

const INIT = '#!/bin/busybox sh\nwhile true; do echo "a machine of its reader"; /bin/busybox sleep 1; done\n';

/** Its one program says that it is there, until it is stopped. */
export const initrdHere = onceFor("initrd", async ({ home }) => {
  const file = path.join(home, "initrd-here");
  const busybox = { path: "bin/busybox", mode: MODE.program, data: await readFile("/bin/busybox") };
  await writeFile(file, cpio([{ path: "init", mode: MODE.program, data: Buffer.from(INIT) }, busybox]));
  return file;
});
