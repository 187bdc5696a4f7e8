/** Everything that can be said of a run, read already: what the command line and `market.run` both come to. */
import { FUEL_PER_GUEST_SECOND, type Assurance, type Condition, type MachineDriver, type PaymentTerms } from "@xenoservers/market";
import type { ImageFormat } from "@xenoservers/protocol";
import type { Given } from "./given-bytes.ts";

/** What holds where nothing else is said, as people write it. */
export const WORK_DEFAULTS = {
  budget: "1.00",
  maxTime: "1h",
  cpu: "1",
  maxOutput: "64M",
  egressMax: "1G",
} as const;

const SECOND_MS = 1_000n;
const USUAL_MS = 600_000n;
/** For making the program ready, which is part of its fuel: of 370 MiB. */
const READY_FUEL = 100n * 10n ** 9n;

/**
 * The most work of a module or script that is paid by its fuel, and for which no bound is given: as much as a guest's clock counts in its
 * longest time, where that is said, else in ten minutes. What is held is in proportion to it. A longest time that nobody said holds for
 * nothing.
 */
export const usualFuel = (maxTimeMs: number | null): bigint =>
  ((maxTimeMs === null ? USUAL_MS : BigInt(Math.ceil(maxTimeMs))) * FUEL_PER_GUEST_SECOND) / SECOND_MS + READY_FUEL;

/** Of machines, and of what is paid by its time: that is its bound, and `xeno lease extend` moves it. */
export const FUEL_BY_TIME = 10n ** 14n;

/** Everything that can be said of a run; null: nothing is said. Amounts are nanos, times milliseconds; sizes stand as people write them. */
export interface WorkOptions {
  /** A module, a script, or the name of an image. */
  file: string | null;
  args: string[];
  in: string | null;
  out: string | null;
  dir: string[];
  env: string[];
  budget: bigint;
  maxPrice: bigint | null;
  maxFee: number | null;
  maxTime: number | null;
  maxFuel: bigint | null;
  maxOutput: string;
  audit: boolean;
  replicas: number;
  assurance: Assurance;
  pay: PaymentTerms | null;
  on: "mine" | "market";
  /** A machine ends at the server where it began. */
  stay: boolean;
  where: Condition[];
  cpu: string;
  mem: string | null;
  disk: string | null;
  label: string | null;
  batch: string | null;
  /** Its server keeps nothing of what goes in for the next lease. */
  forgetInputs: boolean;
  image: Given | null;
  tty: boolean;
  workdir: string | null;
  stopSignal: string | null;
  stopGrace: number | null;
  entrypoint: string | null;
  vm: Given | null;
  format: ImageFormat | null;
  digest: string | null;
  iso: Given | null;
  kernel: Given | null;
  initrd: Given | null;
  append: string | null;
  machine: "pc" | "q35" | "microvm" | null;
  uefi: boolean;
  tpm: boolean;
  windows: boolean;
  screen: boolean;
  hostname: string | null;
  user: string | null;
  sshKey: Given | null;
  userData: Given | null;
  network: boolean;
  egress: string;
  egressMax: string;
  accel: "kvm" | "any";
  driver: MachineDriver;
}
