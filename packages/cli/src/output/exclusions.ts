/** What a customer can do about the conditions that left servers out. Who controls the input: the broker, which names the conditions. */

/** By what `exclusionOf` of the market and the desk's own reasons are called. */
const STEPS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    offline: "not connected now: wait, or look whether it runs",
    clock: "its clock is off: its owner has to set it",
    cooling: "rests after orders that it missed: wait some minutes",
    "not-yours": "--on mine leaves out the servers of others",
    driver: "runs no work of this kind: machines and images need a server with the order's driver (--driver)",
    emulated: "has no KVM: --accel any takes machines that are emulated in software, slower",
    egress: "its owner allows less of a network than --egress asks for",
    assurance: "does not offer this --assurance",
    duration: "is let for less time than that: lower --max-time",
    "fetches=yes": "fetches no images: bring the image here and name its file (--vm FILE)",
    "max-price": "costs more than --max-price",
    capacity:
      "has not so much free now: wait for a lease there to end (--wait), or lower --cpu, --mem or --disk (xeno search shows what is free)",
    terms: "made its offer under other terms: try again in a moment",
    budget: "could cost more than --budget",
    stake: "its owner has not put down the stake for it: --assurance isolated asks for none",
  }),
);

/** Where no server could ever take it, it is no use to wait. */
const FOR_GOOD: ReadonlyMap<string, string> = new Map([
  ["capacity", "has not so much, even with nobody on it: lower --cpu, --mem or --disk"],
]);

/** A line for each condition that left servers out and that something can be done about. `isForGood`: whenever it is asked. */
export function stepsFor(excluded: unknown, isForGood = false): string[] {
  if (typeof excluded !== "object" || excluded === null) return [];
  return Object.keys(excluded).flatMap((why) => {
    const step = (isForGood ? FOR_GOOD.get(why) : undefined) ?? STEPS.get(why);
    return step === undefined ? [] : [`${why}: ${step}`];
  });
}
