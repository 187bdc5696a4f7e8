/**
 * Options of a run that some way of ordering it could do nothing with: whoever gives one would be told nothing, or feed nobody, so it is
 * refused before anything is looked for. Who controls the inputs: the program that calls.
 */
import { InputError } from "../errors.ts";
import type { ReplicasInput } from "./replicated-job.ts";

type Options = Partial<Record<keyof ReplicasInput, unknown>>;
type NotTaken = Readonly<Partial<Record<keyof ReplicasInput, string>>>;

const OF_ONE = "is of one lease: of replicas job.leases and onState tell";
const OF_EACH = "is told of one run: of a map onProgress tells";

const NOT_TAKEN: Readonly<Record<"one" | "replicas" | "map" | "start", NotTaken>> = {
  one: { noAudit: "is for replicas: of one lease market.audit decides" },
  replicas: {
    ...{ wait: "is for one server: replicas do not wait for room", onPlace: "is for one server: replicas do not wait for room" },
    ...{ onLease: OF_ONE, onSent: OF_ONE },
    onInput: "feeds one program, and replicas are several: what they all read goes in by stdin, in or files",
  },
  map: {
    ...{ replicas: "is for market.run: a map runs each job once", noAudit: "is for replicas, and a map runs each job once" },
    after: "is for market.run: order the map once those are over",
    wait: "is for market.run: each job of a map waits by itself",
    onInput: "feeds one program, and a map runs jobs again and later: give each its bytes by stdin, in or files",
    ...{ onLease: OF_EACH, onState: OF_EACH, onSent: OF_EACH, onPlace: OF_EACH, onReceipt: OF_EACH },
    signal: "calls one run off: give it to the map",
    receiptWaitMs: "is of one run: a map waits as usual",
  },
  start: { onInput: "feeds nobody once the run is let go of: prepare with it, start without it, and feed the lease by `xeno attach -i`" },
};

/** What is no run at all is for others to refuse. Throws InputError. */
export function assertTaken(way: keyof typeof NOT_TAKEN, options: Options | undefined): void {
  for (const [option, why] of Object.entries(NOT_TAKEN[way]))
    if (options?.[option as keyof Options] !== undefined) throw new InputError(`${option} ${why}`);
}
