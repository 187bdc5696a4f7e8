/**
 * The drivers' table: what runs guests of one sort, with all that the market, the wire and the customer's side need to know of each.
 * Nothing else asks which driver it is: it asks what that driver can, so that a new one is a row here and a folder of the server's.
 */
import type { Assurance } from "./assurance.ts";

/** What a driver's guests can do, or be asked for. */
export interface DriverAbilities {
  /** They can be typed at, connected to and asked while they run. */
  console: boolean;
  /** They may reach what the owner and the order allow, where they need not run alike everywhere. */
  network: boolean;
  /** A job can be run again with the roots of its states, or one segment of it alone. */
  breakpoints: boolean;
  /** A job can be several runs, one after the other. */
  runs: boolean;
  /** The host's hardware makes them fast, and an order may ask for that. */
  acceleration: boolean;
  /** They are one module, which can be malformed by itself. */
  modules: boolean;
  /** Their limits of fuel, memory and output are the engine's own, and end them at the same place everywhere. */
  exactLimits: boolean;
  /** They boot a system of their own from an image, and both can fail. */
  boots: boolean;
  /** One that runs can go on at another server of its owner. */
  moves: boolean;
}

interface DriverFacts {
  /** One guest, in words. */
  guest: string;
  /** How a server calls such guests when it starts and says whether it has them; null where every server has. */
  announcedAs: string | null;
  can: DriverAbilities;
  /** What a Linux that boots there calls the console that its customer sees; null where nothing boots. */
  consoleDevice: "ttyS0" | "hvc0" | null;
  /** Beside a guest's own memory its lease needs page tables alone, and what emulates its hardware where some is; absent: QEMU's. */
  tablesAlone?: true;
  assurances: readonly Assurance[];
  /** The field of an offer that names the engine its guests run under. */
  engineIn: "engine" | "vmEngine";
  /** Under which of them two honest servers give the same result; the first is what a referee runs the job under; of none nobody judges. */
  alikeUnder: readonly Assurance[];
}

const ROWS = {
  /** The deterministic engine. */
  wasm: {
    guest: "a WebAssembly job",
    announcedAs: null,
    can: {
      console: false,
      network: false,
      breakpoints: true,
      runs: true,
      acceleration: false,
      modules: true,
      exactLimits: true,
      boots: false,
      moves: false,
    },
    consoleDevice: null,
    assurances: ["isolated", "replicated"],
    engineIn: "engine",
    alikeUnder: ["isolated", "replicated"],
  },
  /** Virtual machines under QEMU. */
  qemu: {
    guest: "a virtual machine",
    announcedAs: "machines",
    can: {
      console: true,
      network: true,
      breakpoints: false,
      runs: false,
      acceleration: true,
      modules: false,
      exactLimits: false,
      boots: true,
      moves: true,
    },
    consoleDevice: "ttyS0",
    assurances: ["isolated", "deterministic-vm"],
    engineIn: "vmEngine",
    alikeUnder: ["deterministic-vm"],
  },
  /** Domains of a Xen host, made by its own toolstack. */
  xen: {
    guest: "a Xen domain",
    announcedAs: "domains",
    can: {
      console: true,
      network: true,
      breakpoints: false,
      runs: false,
      acceleration: false,
      modules: false,
      exactLimits: false,
      boots: true,
      moves: true,
    },
    consoleDevice: "hvc0",
    tablesAlone: true,
    assurances: ["isolated"],
    engineIn: "vmEngine",
    alikeUnder: [],
  },
  /** Virtual machines on an owner's XCP-ng or XenServer pool. */
  xapi: {
    guest: "a virtual machine on a pool of hosts",
    announcedAs: "pool",
    can: {
      console: true,
      network: true,
      breakpoints: false,
      runs: false,
      acceleration: false,
      modules: false,
      exactLimits: false,
      boots: true,
      moves: false,
    },
    consoleDevice: "hvc0",
    assurances: ["isolated"],
    engineIn: "vmEngine",
    alikeUnder: [],
  },
} as const satisfies Record<string, DriverFacts>;

export type Driver = keyof typeof ROWS;
export const DRIVERS: Readonly<Record<Driver, DriverFacts>> = ROWS;

/** What an order or a search is for where it names no driver. */
export const DEFAULT_DRIVER = "wasm" satisfies Driver;

export const isDriver = (text: string): text is Driver => Object.hasOwn(ROWS, text);
const listed = ([first, ...others]: readonly Driver[]): [Driver, ...Driver[]] => [first ?? DEFAULT_DRIVER, ...others];
export const DRIVER_NAMES = listed(Object.keys(ROWS).filter(isDriver));

/** The drivers that have an ability. */
export type DriverThatCan<A extends keyof DriverAbilities> = { [D in Driver]: (typeof ROWS)[D]["can"][A] extends true ? D : never }[Driver];

/** Whether two honest servers give the same result, so that another's can say something of it. */
export const runsAlike = (driver: Driver, assurance: Assurance): boolean => DRIVERS[driver].alikeUnder.includes(assurance);

/** Of which an order for a machine names one. */
export type MachineDriver = DriverThatCan<"boots">;
export const isMachineDriver = (driver: Driver): driver is MachineDriver => DRIVERS[driver].can.boots;
export const MACHINE_DRIVERS: readonly MachineDriver[] = DRIVER_NAMES.filter(isMachineDriver);
