import { simulate } from "./test/sim/market.ts";
const counts = new Map<string, number>();
const examples = new Map<string, string>();
const ends = new Map<string, number>();
for (let seed = 100; seed < 125; seed++) {
  const { problem, leases } = await simulate({ seed, trace: (line) => {
    const m = /server \d: (.*)$/.exec(line); if (!m) return;
    const key = m[1]!.replace(/\{.*/, "") + (/"code":"(\w+)"/.exec(line)?.[1] ?? "") + (/"why":"([^"]*?)"/.exec(line)?.[1] ?? "").replace(/\d+/g,"N").replace(/[0-9a-f]{12,}/g,"H").slice(0,70);
    counts.set(key, (counts.get(key) ?? 0) + 1);
    if (!examples.has(key)) examples.set(key, `${seed}: ${line}`);
  } });
  for (const l of leases) { const k = `${l.state} ${l.end?.reason ?? ""} ${l.delivery?.by ?? ""}`; ends.set(k, (ends.get(k) ?? 0) + 1); }
  if (problem) console.log(seed, problem);
}
for (const [k, n] of [...counts].sort((a, b) => b[1] - a[1])) console.log(n, k);
console.log([...ends].sort((a,b)=>b[1]-a[1]));
for (const [k, e] of examples) if (/follow|obey|failed|wrong|object|refused/.test(k)) console.log(e.slice(0,300));
