/** `npm run bench -- [NAME]`: figures as JSON lines; exits 1 where a bar is missed. */
import { again } from "./again.ts";
import { collusion } from "./collusion.ts";
import { commandLine } from "./command.ts";
import { court } from "./court.ts";
import { dispute } from "./dispute.ts";
import { engine } from "./engine.ts";
import { forgeries } from "./forgeries.ts";
import { history } from "./history.ts";
import { kernels } from "./kernels.ts";
import { lease } from "./lease.ts";
import type { Figure } from "./lib/report.ts";
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

const wanted = process.argv.slice(2).filter((word, i, all) => !word.startsWith("--") && !["--seed", "--count"].includes(all[i - 1] ?? ""));
const unknown = wanted.find((name) => !BENCHES[name]);
if (unknown !== undefined) {
  console.error(`no bench is called ${unknown}; there are: ${Object.keys(BENCHES).join(", ")}`);
  process.exit(2);
}
const figures: Figure[] = [];
for (const [name, bench] of Object.entries(BENCHES)) if (wanted.length === 0 || wanted.includes(name)) figures.push(...(await bench()));
process.exit(figures.every(({ ok }) => ok) ? 0 : 1);
