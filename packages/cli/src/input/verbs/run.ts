import { MACHINE_DRIVERS, REPLICAS_MAX } from "@xenoservers/market";
import { VM_DRIVER, conditionsIn, parseAmount, parseBudget, parseDurationMs, parseGigaFuel, parsePercent } from "@xenoservers/sdk";
import { onExit } from "../on-exit.ts";
import { countTo, durationFrom, parseBatch, parseLabel, parseLeases } from "../parse.ts";
import {
  adding,
  choice,
  choiceOr,
  flag,
  inputOf,
  json,
  many,
  maybe,
  negation,
  rest,
  text,
  textOr,
  value,
  valueOr,
  type InputOf,
} from "../verb.ts";

const WAIT_MS_MIN = 1_000;
const RETRIES_MAX = 100;

const what = { file: maybe, args: rest };

/** What goes in, what it may cost, and where it may run. */
const job = {
  in: text("--in <dir>", "read-only at /in"),
  out: text("--out <dir>", "what the job leaves in /out comes back here"),
  dir: many("--dir <host[::guest]>", "copied in, changes copied back; . is the working directory of a module or script"),
  env: many("-e, --env <name=value>", "environment; NAME alone: this side's own"),
  envFile: many("--env-file <file>", "environment, a NAME=VALUE on each line"),
  forgetInputs: flag("--forget-inputs", "the server keeps nothing of what goes in for your next lease"),
  stdin: flag(
    "-i, --stdin",
    "send standard input (what is piped in always is): to an image's program as it comes, else read to its end first",
  ),
  noStdin: negation("--no-stdin", "send none"),
  budget: valueOr("--budget <amount>", "most it may cost", "1.00", parseBudget),
  maxPrice: value("--max-price <amount>", "most per hour", parseAmount),
  maxFee: value("--max-fee <percent>", "most of it that may go to the broker (default: what it announces)", parsePercent),
  maxTime: value("--max-time <duration>", "longest run (default: 1h)", parseDurationMs),
  audit: flag("--audit", "the same as --assurance replicated: on a server with stake, and the log draws whether the referee runs it too"),
  noAudit: negation("--no-audit", "leave a drawn audit to a later xeno audit"),
  replicas: valueOr(
    "--replicas <count>",
    "on servers of so many owners; shown when their signed results agree, else a referee decides",
    "1",
    countTo(REPLICAS_MAX),
  ),
  assurance: choiceOr(
    "--assurance <class>",
    "replicated: the owner's stake is locked against a wrong result",
    ["isolated", "replicated", "deterministic-vm"],
    "isolated",
  ),
  pay: choice("--pay <terms>", "default on-result; by-interval for machines", ["on-result", "by-interval"]),
  on: choiceOr("--on <whose>", "your own machines, or the market's", ["mine", "market"], "market"),
  stay: flag("--stay", "a machine ends at the server where it began: its owner never moves it to another of its servers"),
  where: adding(
    valueOr("--where <conditions>", "as for search", "", (typed) => conditionsIn(typed, "--where ")),
    " ",
  ),
  cpu: textOr("--cpu <n>", "vCPUs", "1"),
  mem: text("--mem <size>", "memory (default 512M)"),
  disk: text("--disk <size>", "room for files (default 256M; of an image 2G, of a disk image its own size)"),
  maxOutput: textOr("--max-output <size>", "of stdout and stderr", "64M"),
  maxFuel: value(
    "--max-fuel <giga>",
    "stop the job after this much fuel, in 10^9, about 0.1 s of one core each (default: that of --max-time, else of 10m)",
    parseGigaFuel,
  ),
  label: value("--label <text>", "shown by ps", parseLabel),
  account: text("--account <account>", "paid from this account"),
  batch: value("--batch <id>", "draw on a batch's hold", parseBatch),
  quiet: flag("-q, --quiet", "only the job's own output"),
  json,
};

/** Of virtual machines. */
const machine = {
  image: text("--image <ref>", "an OCI image: NAME:TAG, oci:DIR[:NAME] or archive:FILE[:NAME]; what follows -- runs in it"),
  tty: flag("-t, --tty", "a terminal for the image's program; with -i what is typed here is typed there"),
  workdir: text("-w, --workdir <dir>", "where the image's program begins"),
  stopSignal: text("--stop-signal <signal>", "asks the image's program to end (default: as the image says, else SIGTERM)"),
  stopGrace: value("--stop-grace <duration>", "until it is killed (default: 10s; a third of the market's grace at most)", parseDurationMs),
  entrypoint: text("--entrypoint <program>", "in place of the image's own"),
  vm: text("--vm <image>", "boot a disk image, a file or an address with --digest"),
  format: choice("--format <format>", "of the disk image", ["qcow2", "raw"]),
  digest: text("--digest <sha256>", "of an image that the server fetches by address"),
  iso: text("--iso <file>", "an installer's medium"),
  kernel: text("--kernel <file>", "boot a Linux kernel"),
  initrd: text("--initrd <file>", "with this initial RAM disk"),
  append: text("--append <words>", "the kernel's command line (default: its console, by its driver)"),
  machine: choice("--machine <type>", "default pc, of disk images q35", ["pc", "q35", "microvm"]),
  uefi: flag("--uefi", "UEFI firmware in place of BIOS"),
  tpm: flag("--tpm", "a TPM 2.0"),
  windows: flag("--windows", "what Windows needs: q35, UEFI, TPM 2.0, SATA, e1000, a screen"),
  screen: flag("--screen", "a graphics card, keyboard and tablet: xeno screen LEASE shows it"),
  hostname: text("--hostname <name>", "of the guest"),
  user: text("-u, --user <name>", "made by cloud-init; of an OCI image: run as, USER[:GROUP] by name or number"),
  sshKey: text("--ssh-key <file>", "a public key that may log in (cloud-init)"),
  userData: text("--user-data <file>", "cloud-init's, as it is"),
  network: flag("--network", "a network card, for ssh and forward; nothing leads out"),
  egress: adding(textOr("--egress <names>", "names the guest may reach, or public; where the owner allows it", "none"), ","),
  egressMax: textOr("--egress-max <size>", "most it may send and receive", "1G"),
  accel: choiceOr("--accel <how>", "any: servers that emulate machines in software too", ["kvm", "any"], "kvm"),
  driver: choiceOr("--driver <name>", "what runs the machine: QEMU, or a Xen host's own domains", MACHINE_DRIVERS, VM_DRIVER),
};

export const quoteInput = inputOf(what, { ...job, ...machine });
/** What a run would be, whether or not it is one. */
export type WorkInput = InputOf<typeof quoteInput>;

export const runInput = inputOf(what, {
  ...job,
  ...machine,
  ...onExit,
  detach: flag("-d, --detach", "return when it runs"),
  dryRun: flag("--dry-run", "show the quote only"),
  verbose: flag("-v, --verbose", "the whole quote, also on terms that were shown before"),
  wait: flag("--wait", "where the market is full, wait for room (on a terminal that is so anyway)"),
  noWait: negation("--no-wait", "be refused at once"),
  for: value("--for <duration>", "wait for room so long at most (default: 10m)", durationFrom(WAIT_MS_MIN, "1s")),
  retries: value(
    "--retries <count>",
    "run again so often where it ends by no fault of its customer; --budget is for all tries",
    countTo(RETRIES_MAX),
  ),
  after: adding(
    value("--after <leases>", "LEASE,LEASE: when these ended by themselves with exit code 0; this command waits for them", parseLeases),
    ",",
  ),
  reuse: flag("--reuse", "take what the same job came to earlier, where its receipt holds and its result lies here: nothing is ordered"),
  local: flag("--local", "here, without a market"),
});
export type RunInput = InputOf<typeof runInput>;
