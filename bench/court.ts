/**
 * 5,000 honest cases of leases and disputes, and as many in which one party lies in one place: how many honest parties were convicted,
 * waited past a deadline or lost more than is stated, and how many lies paid that are not known to pay. `--seed N` plays one case again;
 * `npm test` plays the first few hundred.
 */
import { Court } from "../test/court/cases.ts";
import { OPEN } from "../test/court/open.ts";
import { report, type Figure } from "./lib/report.ts";
import { typedNumber } from "./lib/options.ts";

const COUNT = 5_000;
const SHOWN = 10;

async function playAgain(court: Court, seed: number): Promise<Figure[]> {
  console.error(`seed ${seed}, honest: ${(await court.honest(seed)) ?? "nothing is wrong"}`);
  console.error(`seed ${seed}, with a lie: ${(await court.lie(seed)) ?? "nobody can lie there"}`);
  return figuresOf(court, 0);
}

function figuresOf({ counted }: Court, ms: number): Figure[] {
  const { honest, lies, wronged, outcomes, gaps } = counted;
  const unknown = Object.entries(gaps).flatMap(([name, seeds]) =>
    Object.hasOwn(OPEN, name) ? [] : seeds.map((seed) => `${name}: ${seed}`),
  );
  const known = outcomes.gain - unknown.length;
  for (const each of [...wronged, ...unknown].slice(0, SHOWN)) console.error(each);
  return [
    report(`honest cases with somebody convicted, frozen or at a loss, of ${honest}`, wronged.length, "cases", null, 0),
    report(`lies in one place that paid, of ${lies}`, unknown.length, "lies", null, 0),
    report(`lies that paid and are known to (${Object.keys(OPEN).join("; ")})`, known, "lies", null, null),
    report(`lies refused, of ${lies}`, outcomes.refused, "lies", null, null),
    report(`lies that convicted their author, of ${lies}`, outcomes.convicted, "lies", null, null),
    report("a case played and judged", honest + lies === 0 ? 0 : ms / (honest + lies), "ms", null, null),
  ];
}

export async function court(): Promise<Figure[]> {
  const room = await Court.open();
  const seed = typedNumber("seed");
  if (seed !== null) return playAgain(room, seed);
  const start = performance.now();
  const count = typedNumber("count") ?? COUNT;
  for (let each = 0; each < count; each++) {
    await room.honest(each);
    await room.lie(each);
  }
  return figuresOf(room, performance.now() - start);
}
