/** `npm run sim -- --seeds N [--from SEED]`, or `--seed SEED` to watch one. */
import { typed, wholeNumber } from "../../scripts/typed.ts";
import { simulate } from "./market.ts";

const { values } = typed("npm run sim -- [--seeds N] [--from SEED] [--seed SEED]\n--seed: one, with all that happens in it", {
  seeds: { type: "string", default: "1000" },
  from: { type: "string", default: "0" },
  seed: { type: "string" },
});

if (values.seed !== undefined) {
  const { problem, leases } = await simulate({ seed: wholeNumber("seed", values.seed), trace: (line) => console.log(line) });
  for (const lease of leases)
    console.log(lease.id.slice(0, 12), lease.state, lease.terms, lease.end?.reason ?? "", lease.end?.dueNanos ?? "");
  console.log(problem ?? "nothing wrong");
  process.exitCode = problem ? 1 : 0;
} else {
  const from = wholeNumber("from", values.from);
  const seeds = wholeNumber("seeds", values.seeds);
  for (let seed = from; seed < from + seeds; seed++) {
    const { problem } = await simulate({ seed });
    if (problem) {
      console.log(`seed ${seed}: ${problem}`);
      process.exitCode = 1;
      break;
    }
    if ((seed - from) % 100 === 99) console.log(`${seed - from + 1} seeds, nothing wrong`);
  }
}
