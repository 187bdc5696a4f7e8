/** From what is asked for to what is wanted of the market. Who controls the inputs: whoever runs this. */
import { meteringOf, usualTerms } from "@xenoservers/market";
import { InputError } from "./errors.ts";
import { given } from "./given.ts";
import { driverOf, type Wanted } from "./order.ts";
import { parseCount, parseDurationMs, parseSizeMib } from "./words.ts";
import { FUEL_BY_TIME, WORK_DEFAULTS, usualFuel, type WorkOptions } from "./work-options.ts";

const WASM_MEMORY = "512M";
const WASM_DISK = "256M";
const WASM_VCPU_MAX = 1_024;

/** What a machine says of its own order. */
interface MachineWanted extends Pick<Wanted, "resources" | "conditions"> {
  ordered: Pick<Wanted, "driver" | "accel" | "egress" | "egressMibMax">;
}

function durationOf(maxTime: number): number {
  if (!(maxTime > 0)) throw new InputError("--max-time is nothing, and no program ends in no time: write 90s, 10m, 2h or 1d");
  return maxTime;
}

/** `machine`: null for a module or script. Throws InputError. */
export function wantedOf(input: WorkOptions, machine: MachineWanted | null): Wanted {
  const { pay, assurance, replicas, audit, on, where, maxPrice, maxTime, maxFuel, maxFee, budget, batch, label, stay } = input;
  const ordered = machine?.ordered ?? {};
  const terms = pay ?? usualTerms(driverOf(ordered), assurance);
  const isTimed = machine !== null || meteringOf(terms) === "time";
  return {
    ...ordered,
    resources: machine?.resources ?? {
      vcpu: parseCount(input.cpu, "--cpu", WASM_VCPU_MAX),
      memoryMib: parseSizeMib(input.mem ?? WASM_MEMORY, "--mem"),
      diskMib: parseSizeMib(input.disk ?? WASM_DISK, "--disk", 0),
    },
    conditions: [...where, ...(machine?.conditions ?? [])],
    terms,
    assurance: assurance !== "isolated" || (replicas === 1 && !audit) ? assurance : "replicated",
    on,
    maxPriceNanosPerHour: maxPrice,
    durationMsMax: durationOf(maxTime ?? parseDurationMs(WORK_DEFAULTS.maxTime, "--max-time")),
    fuelMax: maxFuel ?? (isTimed ? FUEL_BY_TIME : usualFuel(maxTime)),
    budgetNanos: budget,
    label: label ?? "",
    ...given({ batch, feeBasisPointsMax: maxFee, replicas: replicas > 1 ? replicas : null, stays: stay ? (true as const) : null }),
  };
}
