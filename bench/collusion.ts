/**
 * What cheats are expected to gain, for each unit that they would be paid, by chance played over the market's own rules: below zero at every stated rate. The
 * table of docs/threat-model.md.
 */
import { Random } from "@xenoservers/testkit";
import { STATED_PPM, colludingOwners, lonelyCheat } from "../test/support/collusion.ts";
import { report, type Figure } from "./lib/report.ts";

const LEASES = 20_000;
const SEED = 20_260_701;
const PPM_PER_PERCENT = 10_000;

export async function collusion(): Promise<Figure[]> {
  return STATED_PPM.flatMap((ppm) => {
    const at = `at a stated rate of ${ppm / PPM_PER_PERCENT} %`;
    const gain = (name: string, value: number): Figure => report(`${name}, ${at}: expected gain`, value, "of what is due", null, 0);
    const two = { owners: 5, colluding: 2, replicas: 2 };
    return [
      gain("one owner, the job's own price", lonelyCheat(new Random(SEED), ppm, "as much as the job", LEASES)),
      gain("one owner, all of the fuel", lonelyCheat(new Random(SEED), ppm, "all of the fuel", LEASES)),
      gain("two owners of one person among 5, whenever one is drawn", colludingOwners(new Random(SEED), two, "always", ppm, LEASES)),
      gain("two owners of one person among 5, only when both are drawn", colludingOwners(new Random(SEED), two, "together", ppm, LEASES)),
      gain(
        "4 of 6 owners, 3 replicas, only when all are drawn",
        colludingOwners(new Random(SEED), { owners: 6, colluding: 4, replicas: 3 }, "together", ppm, LEASES),
      ),
    ];
  });
}
