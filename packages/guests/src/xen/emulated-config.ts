/**
 * What xl.cfg(5) says of a domain with emulated hardware, beside what every domain has. Pure. Xen's kinds of disks and cards are there as
 * well, and a kernel that knows them takes them in place of QEMU's. Who controls the inputs: this program, every value.
 */
import { MEDIUM, PROGRAM, SCREEN } from "./device-model.ts";
import type { ConfiguredDisk } from "./domain-disk.ts";

export interface Emulation {
  /** The domain's, which QEMU begins in. */
  folder: string;
  hasScreen: boolean;
  /** A CD drive, with an installer's medium in it. */
  hasMedium: boolean;
}

type Setting = readonly [key: string, value: string | number | readonly string[]];

/** Of the card that every BIOS shows its text on. */
const VIDEO_MIB = 16;
/** IDE has four places, and the third is the CD drive's. */
const IDE_DISKS_MAX = 2;

/**
 * libxl gives QEMU a disk only once a script of the distribution's has named its device, and ours do not (domain-disk.ts): QEMU is told of
 * it in its own words. One that is read-only has no place on IDE, and is Xen's alone.
 */
const drivesOf = (devices: readonly ConfiguredDisk[]): string[] =>
  devices
    .slice(0, IDE_DISKS_MAX)
    .flatMap(({ device, isWritable }, place) =>
      isWritable ? ["-drive", `file=${device},if=ide,index=${place},media=disk,format=raw,cache=none`] : [],
    );

/** Names of files are in the domain's folder. Screens as QEMU's machines have them: a socket, on which none ends another. */
export function emulationSettings({ folder, hasScreen, hasMedium }: Emulation, devices: readonly ConfiguredDisk[]): Setting[] {
  const medium = hasMedium ? ["-drive", `file=${MEDIUM},if=ide,index=2,media=cdrom,format=raw,readonly=on`] : [];
  return [
    ["bios", "seabios"],
    ["boot", "cd"],
    ["device_model_version", "qemu-xen"],
    ["device_model_override", `${folder}/${PROGRAM}`],
    ["dm_restrict", 1],
    ["device_model_args_hvm", [...drivesOf(devices), ...medium]],
    ["vga", "stdvga"],
    ["videoram", VIDEO_MIB],
    ["vnc", hasScreen ? 1 : 0],
    ...(hasScreen ? [["vncunused", 0] as const, ["vnclisten", `unix:${SCREEN},share=ignore,power-control=off`] as const] : []),
    ["usb", 1],
    ["usbdevice", ["tablet"]],
    ["serial", "pty"],
  ];
}
