/** `npm run bench -- [NAME] [--row WORDS]`: figures as JSON lines; exits 1 where a bar is missed. */
import { again } from "./again.ts";
import { collusion } from "./collusion.ts";
import { typed, wholeNumber } from "../scripts/typed.ts";
import { commandLine } from "./command.ts";
import { court } from "./court.ts";
import { dispute } from "./dispute.ts";
import { engine } from "./engine.ts";
import { forgeries } from "./forgeries.ts";
import { history } from "./history.ts";
import { kernels } from "./kernels.ts";
import { lease } from "./lease.ts";
import { broken, type Figure } from "./lib/report.ts";
import { machine } from "./machine.ts";
import { manyJobs } from "./map.ts";
import { newcomer } from "./newcomer.ts";
import { relay } from "./relay.ts";
import { start } from "./start.ts";
import { transfer } from "./transfer.ts";
import { vm } from "./vm.ts";
import { world } from "./world.ts";
import { xenDensity } from "./xen-density.ts";
import { xenMoves } from "./xen-moves.ts";
import { xen } from "./xen.ts";

const BENCHES: Record<string, () => Promise<Figure[]>> = {
  lease,
  kernels,
  engine,
  start,
  dispute,
  vm,
  machine,
  forgeries,
  collusion,
  court,
  history,
  relay,
  world,
  transfer,
  again,
  command: commandLine,
  map: manyJobs,
  newcomer,
  xen,
  "xen-density": xenDensity,
  "xen-moves": xenMoves,
};

const USAGE = `npm run bench -- [NAME…] [--seed N] [--count N] [--row WORDS] [--json]
a JSON line for each figure, with all benches or those that are named; exits 1 where a bar is missed
--seed: plays one case of court again; --count: so many cases of court, or rounds of world;
--row: of world, the rows alone that have these words`;
const { values, positionals: wanted } = typed(
  USAGE,
  { seed: { type: "string" }, count: { type: "string" }, row: { type: "string" }, json: { type: "boolean" } },
  { what: "bench", all: Object.keys(BENCHES) },
);
for (const option of ["seed", "count"] as const) if (values[option] !== undefined) wholeNumber(option, values[option]);
const figures: Figure[] = [];
for (const [name, bench] of Object.entries(BENCHES))
  if (wanted.length === 0 || wanted.includes(name)) figures.push(...(await bench().catch((error: unknown) => [broken(name, error)])));
process.exit(figures.every(({ ok }) => ok) ? 0 : 1);
