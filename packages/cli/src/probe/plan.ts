/**
 * A probe as words: what somebody would have typed after `xeno run`, drawn as people type. The order is then made by the code that makes
 * theirs, so that nothing in it can tell. No condition names a server: a plan that leads elsewhere is drawn again. Who controls the
 * inputs: owners (what their offers say).
 */
import { formatMoney } from "@xenoservers/market";
import type { OfferView } from "@xenoservers/protocol";
import { between, drawProgram, pick, type Chance } from "./programs.ts";

export interface ProbePlan {
  /** What its party is called. */
  party: string;
  /** What it is credited, in nanos. */
  creditNanos: bigint;
  program: { name: string; text: string };
  /** After `xeno run FILE`. */
  options: string[];
  args: string[];
}

type Target = Pick<OfferView, "labels" | "priceNanosPerHour" | "sandbox">;

const PEOPLE = ["alex", "sam", "maria", "jo", "chris", "kim", "lena", "tom", "customer", "user", "ubuntu", "dev"] as const;
const LABELS = ["test", "nightly", "ci", "build", "batch", "try", "exp1", "work"] as const;
const UNIT_NANOS = 1_000_000_000n;
const CREDITS = [2n, 5n, 10n, 20n, 50n] as const;

/** Most people leave an option out. */
const seldom = (chance: Chance, flag: string, draw: () => string): string[] => (chance() < 0.3 ? [flag, draw()] : []);

/** As a person rounds: two digits. */
function maxPriceOf(chance: Chance, { priceNanosPerHour }: Target): string {
  const most = (BigInt(priceNanosPerHour) * BigInt(between(chance, 12, 40))) / 10n;
  const digits = most.toString();
  return formatMoney(BigInt(digits.slice(0, 2).padEnd(digits.length, "0")) || 1n);
}

function conditionOf(chance: Chance, { labels, sandbox }: Target): string {
  const { region } = labels;
  return pick(chance, [`sandbox=${sandbox}`, "cpu>=1", "mem>=512M", ...(region === undefined ? [] : [`region=${region}`])]);
}

export function planProbe(target: Target, chance: Chance): ProbePlan {
  const { name, text, args } = drawProgram(chance);
  return {
    party: pick(chance, PEOPLE),
    creditNanos: pick(chance, CREDITS) * UNIT_NANOS,
    program: { name, text },
    options: [
      ...seldom(chance, "--budget", () => pick(chance, ["0.10", "0.25", "0.50", "2.00"])),
      ...seldom(chance, "--mem", () => pick(chance, ["512M", "768M", "1G"])),
      ...seldom(chance, "--max-time", () => pick(chance, ["10m", "20m", "30m", "2h"])),
      ...seldom(chance, "--max-fuel", () => pick(chance, ["500", "1000", "5000", "20000"])),
      ...seldom(chance, "--max-price", () => maxPriceOf(chance, target)),
      ...seldom(chance, "--where", () => conditionOf(chance, target)),
      ...seldom(chance, "--label", () => pick(chance, LABELS)),
      ...(chance() < 0.5 ? ["--assurance", "replicated"] : []),
    ],
    args,
  };
}

/** When each of so many probes is placed, from now on: no rhythm that anybody could hear. */
export const probeTimesMs = (chance: Chance, count: number, withinMs: number): number[] =>
  Array.from({ length: count }, () => Math.floor(chance() * withinMs)).sort((a, b) => a - b);
