/** From what the form of machines says to what the market is asked to run. Who controls the inputs: whoever fills in the form. */
import { DRIVERS, MACHINE_DRIVERS, type MachineDriver } from "@xenoservers/market";
import { InputError, VM_DRIVER } from "@xenoservers/sdk";
import type { RunInput } from "@xenoservers/sdk/machines";

export const SOURCES = ["image", "vm", "kernel", "iso"] as const;
export type MachineSource = (typeof SOURCES)[number];

export const NETWORKS = ["none", "ports", "public"] as const;
export type MachineNetwork = (typeof NETWORKS)[number];

/** As it is typed and chosen; what is empty was not said. */
export interface MachineForm {
  source: MachineSource;
  /** What boots. */
  file: File | null;
  initrd: File | null;
  append: string;
  /** Of images: the program and its arguments, a line each. */
  args: string;
  cpu: string;
  mem: string;
  disk: string;
  maxTime: string;
  budget: string;
  label: string;
  network: MachineNetwork;
  hasScreen: boolean;
  isUefi: boolean;
  isWindows: boolean;
  sshKey: string;
  userData: string;
  /** What runs it, and on which server; an empty server: the cheapest that fits. */
  driver: MachineDriver;
  server: string;
  /** Servers that emulate machines in software will do. */
  takesEmulated: boolean;
}

const MISSING: Readonly<Record<MachineSource, string>> = {
  image: "choose the archive of an image, as docker save or podman save writes it",
  vm: "choose a disk image",
  kernel: "choose a Linux kernel",
  iso: "choose an installer’s medium (.iso)",
};

const said = <K extends string>(name: K, text: string): Partial<Record<K, string>> =>
  text.trim() === "" ? {} : ({ [name]: text.trim() } as Record<K, string>);
const ticked = <K extends string>(name: K, is: boolean): Partial<Record<K, true>> => (is ? ({ [name]: true } as Record<K, true>) : {});
const bytesIn = <K extends string>(name: K, text: string): Partial<Record<K, Uint8Array>> =>
  text.trim() === "" ? {} : ({ [name]: new TextEncoder().encode(`${text.trim()}\n`) } as Record<K, Uint8Array>);
const linesIn = (text: string): string[] => (text.trim() === "" ? [] : text.replace(/\n$/, "").split("\n"));

/** Where a system prints, so that it is seen here. */
const usualAppend = (driver: MachineDriver): string => `console=${DRIVERS[driver].consoleDevice ?? ""}`;

function bootIn({ source, initrd, append, args, isUefi, isWindows, sshKey, userData, driver }: MachineForm, boots: File): RunInput {
  const firmware = { ...ticked("uefi", isUefi), ...ticked("windows", isWindows) };
  switch (source) {
    case "image":
      return { image: boots, ...(linesIn(args).length > 0 ? { args: linesIn(args) } : {}) };
    case "kernel":
      return { kernel: boots, ...(initrd ? { initrd } : {}), append: append.trim() || usualAppend(driver) };
    case "iso":
      return { iso: boots, ...firmware };
    case "vm":
      return { vm: boots, ...firmware, ...bytesIn("sshKey", sshKey), ...bytesIn("userData", userData) };
  }
}

function countIn(cpu: string): { cpu?: number } {
  if (cpu.trim() === "") return {};
  if (!/^\d{1,4}$/.test(cpu.trim())) throw new InputError("processors are a number");
  return { cpu: Number(cpu) };
}

/** Throws InputError; what else is wrong the SDK says before anything is signed. */
export function machineInput(form: MachineForm): RunInput {
  const { source, file, network, hasScreen, driver, server, takesEmulated } = form;
  if (file === null) throw new InputError(MISSING[source]);
  if (source === "iso" && form.disk.trim() === "") throw new InputError("say how large a disk the installer is to have (20G)");
  const isScreen = hasScreen && source !== "image";
  return {
    ...bootIn(form, file),
    ...{ ...countIn(form.cpu), ...said("mem", form.mem), ...said("disk", form.disk) },
    ...{ budget: form.budget.trim(), ...said("maxTime", form.maxTime), ...said("label", form.label) },
    ...{ ...ticked("network", network !== "none"), ...(network === "public" ? { egress: "public" } : {}), ...ticked("screen", isScreen) },
    ...{ driver, ...said("where", server === "" ? "" : `server=${server}`) },
    ...(takesEmulated ? { accel: "any" } : {}),
  };
}

/** A server that was chosen, as a form has it in one text. */
export const choiceOf = (driver: MachineDriver, server: string): string => `${driver} ${server}`;

export function chosenIn(choice: string): { driver: MachineDriver; server: string } {
  const [driver, server = ""] = choice.split(" ");
  return { driver: MACHINE_DRIVERS.find((each) => each === driver) ?? VM_DRIVER, server };
}

/** For `catch`: what a browser says of a file that it cannot read is no fault of the page's. */
export function unreadable(error: unknown): never {
  if (!(error instanceof DOMException)) throw error;
  throw new InputError(`a file cannot be read, is a folder or has changed since it was chosen: ${error.message}`, { cause: error });
}
