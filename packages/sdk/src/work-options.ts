/** Everything that can be said of a run, read already: what the command line and `market.run` both come to. */
import type { Assurance, Condition, MachineDriver, PaymentTerms } from "@xenoservers/market";
import type { ImageFormat } from "@xenoservers/protocol";

/** What holds where nothing else is said, as people write it. */
export const WORK_DEFAULTS = {
  budget: "1.00",
  maxTime: "1h",
  maxFuel: "100000",
  cpu: "1",
  maxOutput: "64M",
  egressMax: "1G",
} as const;
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
  maxTime: number;
  maxFuel: bigint;
  maxOutput: string;
  audit: boolean;
  replicas: number;
  assurance: Assurance;
  pay: PaymentTerms | null;
  on: "mine" | "market";
  where: Condition[];
  cpu: string;
  mem: string | null;
  disk: string | null;
  label: string | null;
  batch: string | null;
  image: string | null;
  tty: boolean;
  workdir: string | null;
  stopSignal: string | null;
  stopGrace: number | null;
  entrypoint: string | null;
  vm: string | null;
  format: ImageFormat | null;
  digest: string | null;
  iso: string | null;
  kernel: string | null;
  initrd: string | null;
  append: string | null;
  machine: "pc" | "q35" | "microvm" | null;
  uefi: boolean;
  tpm: boolean;
  windows: boolean;
  screen: boolean;
  hostname: string | null;
  user: string | null;
  sshKey: string | null;
  userData: string | null;
  network: boolean;
  egress: string;
  egressMax: string;
  accel: "kvm" | "any";
  driver: MachineDriver;
}
