import { simulate } from "./test/sim/market.ts";
const want = process.argv[2]!;
for (let seed = 100; seed < 125; seed++) {
  const lines: string[] = [];
  const { leases } = await simulate({ seed, trace: (line) => lines.push(line) });
  for (const l of leases) if (l.end?.reason === want) {
    console.log(seed, l.id.slice(0,12), l.server.slice(0,8), l.terms, "opened", l.openedAt! - 1.8e12, "closed", l.end.at - 1.8e12, "heard", l.heardAt - 1.8e12, JSON.stringify(l.gaps), JSON.stringify(l.lastClaim), l.replicas);
    for (const line of lines) if (line.includes(l.id.slice(0,12)) || /fault/.test(line)) console.log("   ", line.slice(0,200));
  }
}
