/** WebAssembly jobs under the contract of all drivers. */
import type { Crypto } from "@xenoservers/protocol";
import { DRIVERS, invariant, minNanos } from "@xenoservers/market";
import type { GuestDriver, GuestJob } from "../driver.ts";
import type { WasmJob, Work } from "../work.ts";
import type { PreparedJob, WasmDriver } from "./wasm-job.ts";
import { jobProblem, neededForJob } from "./wasm-work.ts";

function jobOf(work: Work): WasmJob {
  invariant(work.kind === "wasm", "work of another kind was refused when it came");
  return work.job;
}

function breakpointsOf({ segment }: WasmJob, trace: GuestJob["trace"]): PreparedJob["breakpoints"] {
  if (trace !== null) return { kind: "trace", step: trace.step };
  return segment && { kind: "segment", ...segment.segment, pieces: segment.pieces };
}

export function preparedJobOf({ lease, po, order, work, fuelMax, runMsMax, trace, blobFile }: GuestJob): PreparedJob {
  const job = jobOf(work);
  const { spec, inputs, segment, forgets = false } = job;
  const again = trace ?? segment?.segment ?? null;
  return {
    ...{ lease, customer: order.party, spec, inputs, vcpu: po.resources.vcpu, runMsMax, forgets, blobFile },
    // a key of its own is another's: nobody else can bring a job under it
    ...(order.judges === null && !forgets ? { sharedBy: order.channelKey } : {}),
    // a segment and a second run end where the first run did, by itself or by its limit, whatever is paid for this one
    fuelMax: again ? minNanos(BigInt(spec.fuelMax), BigInt(again.upTo ?? spec.fuelMax)) : fuelMax,
    breakpoints: breakpointsOf(job, trace),
  };
}

export function wasmGuests(crypto: Crypto, driver: WasmDriver): GuestDriver {
  const {
    assurances,
    can: { console, network, breakpoints },
  } = DRIVERS.wasm;
  return {
    name: "wasm",
    engine: driver.engine,
    sandbox: driver.sandbox,
    capabilities: {
      console,
      network,
      breakpoints,
      snapshots: false,
      screens: false,
      runs: driver.doesRuns,
      images: false,
      filesInMemory: true,
    },
    assurances,
    holds: driver.sandbox.holds,
    offered: () => ({ engine: driver.engine, sandbox: driver.sandbox.strength }),
    problemWith: (work, ordered) =>
      work.kind === "wasm" ? jobProblem(crypto, driver, ordered, work.job) : "a WebAssembly job was ordered, not a machine",
    neededBlobs: async (work) => neededForJob(jobOf(work), driver),
    isSegment: (work) => work.kind === "wasm" && work.job.segment !== null,
    prepare: (job) => driver.prepare(preparedJobOf(job)),
    adopt: (token) => driver.adopt(token),
    monotonicMs: () => driver.monotonicMs(),
    makeRoom: () => driver.makeRoom(),
    close: () => driver.close(),
  };
}
