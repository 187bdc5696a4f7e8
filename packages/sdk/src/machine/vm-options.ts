/** What a customer may say of a machine or image, with what is usual filled in. */
import type { MachineDriver } from "@xenoservers/market";
import type { RunInput } from "../facade/run-input.ts";
import { given } from "../given.ts";
import { PROGRAM_FILE } from "../runtimes.ts";
import type { WorkOptions } from "../work-options.ts";
import type { ProcessOptions } from "./process-held.ts";

type Asked = "vm" | "iso" | "kernel" | "image" | "format" | "digest" | "initrd" | "append" | "entrypoint" | "machine" | "uefi" | "windows";
type AskedOfGuest = "tpm" | "screen" | "hostname" | "user" | "sshKey" | "userData" | "network" | "egress";

/** As `RunInput` has them, with what is usual filled in. */
export interface VmOptions extends ProcessOptions, Pick<RunInput, Asked | AskedOfGuest> {
  egressMax: string;
  accel: "kvm" | "any";
  driver: MachineDriver;
}

/** `feedsImage`: somebody feeds the image's program. */
export function vmOptionsOf(input: WorkOptions, feedsImage: boolean): VmOptions {
  const { vm, format, digest, iso, kernel, initrd, append, image, entrypoint, machine, uefi, windows, tpm, screen } = input;
  const { hostname, user, sshKey, userData, workdir, tty, stopSignal, stopGrace } = input;
  const { network, egress, egressMax, accel, driver } = input;
  const boots = { vm, format, digest, iso, kernel, initrd, append, image, entrypoint, machine, uefi, windows, tpm, screen };
  const held = { workdir, stdin: feedsImage, tty, stopSignal, stopGrace };
  return given({ ...boots, ...held, hostname, user, sshKey, userData, network, egress, egressMax, accel, driver });
}

type Boots = { [K in "vm" | "kernel" | "iso" | "image"]?: unknown };

/** An option says what machine it is; else the first word does. */
export const bootsMachine = ({ vm, kernel, iso, image }: Boots): boolean =>
  [vm, kernel, iso, image].some((each) => each !== undefined && each !== null);

/** Whether the words ask for a virtual machine: by an option, or by a name that is neither a module nor a script. */
export function asksForVm(file: string | undefined, options: VmOptions): boolean {
  if (bootsMachine(options)) return true;
  return file !== undefined && !PROGRAM_FILE.test(file);
}
