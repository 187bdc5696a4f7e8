import { simulate } from "./test/sim/market.ts";
const { leases } = await simulate({ seed: Number(process.argv[2]), trace: (line) => console.log(line) });
for (const l of leases) console.log(l.id.slice(0, 12), l.state, l.terms, l.end?.reason, l.replicas, l.openedAt, JSON.stringify(l.gaps), JSON.stringify(l.timings));
