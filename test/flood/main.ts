/**
 * `npm run flood -- [ROW…]`: a broker and a server in processes of their own, an honest customer with a lease, and one attack after the
 * other beside it. Prints for each what the customer waits, with and without, and how far the broker's memory grows; ends 1 where a bar is
 * missed.
 *
 * A stranger's processor is elsewhere: the attack runs at the lowest priority, and while the customer is measured without it, a program
 * that only burns the processor runs in its place, so that the ratio is of what the broker does. Half of the rounds without come before
 * the attack and half after it, so that other work on the machine meets both alike.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import path from "node:path";
import { createInterface } from "node:readline";
import { typed } from "../../scripts/typed.ts";
import { quantile } from "../../bench/lib/report.ts";
import { Programs, kill9 } from "../process/programs.ts";
import { MIB_PER_1000_LINKS_MAX, residentMib, watch } from "./resident.ts";
import { party } from "./row.ts";
import { ROWS } from "./rows.ts";

const ROUNDS = 300;
const WARMING_ROUNDS = 20;
const SLOWER_MAX = 3;
/** What a quiet machine needs less than counts as so much: the bar is about waiting, not about noise. */
const QUIET_MS_LEAST = 25;

class Talker {
  readonly child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(program: string, args: readonly string[]) {
    this.child = spawn(process.execPath, [path.join(import.meta.dirname, program), ...args], { stdio: ["pipe", "pipe", "inherit"] });
    this.#lines = createInterface({ input: this.child.stdout! })[Symbol.asyncIterator]();
  }

  async line(): Promise<string> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error("a program of the flood ended early");
    return value;
  }

  ask(text: string): Promise<string> {
    this.child.stdin!.write(`${text}\n`);
    return this.line();
  }
}

/** Burns what an attack could of the processor, and harms nobody. */
async function beside<T>(work: () => Promise<T>): Promise<T> {
  const idler = new Talker("harmless.ts", []);
  await idler.line();
  try {
    return await work();
  } finally {
    await kill9(idler.child);
  }
}

interface Seen {
  row: string;
  "p50 ms": string;
  "p99 ms": string;
  "MiB over idle": string;
  links: number;
  ok: boolean;
}

async function play(name: string): Promise<Seen> {
  const market = await Programs.open();
  const children: ChildProcess[] = [];
  try {
    const broker = await market.startBroker();
    children.push(broker);
    const token = await market.people();
    children.push(await market.startServer("--enrol", token));
    const seed = randomBytes(32);
    await market.ok("customer", ["broker", "credit", (await party(market.url, seed)).identity.party, "10", "--data", market.at("broker")]);
    const honest = new Talker("honest.ts", [market.url, seed.toString("hex")]);
    children.push(honest.child);
    await honest.line();
    const measure = async (rounds = ROUNDS) => JSON.parse(await honest.ask(String(rounds))) as number[];
    await measure(WARMING_ROUNDS);
    const quiet = await beside(() => measure(ROUNDS / 2));
    const idle = await residentMib(broker.pid!);
    const most = watch(broker.pid!);
    const attack = new Talker("attack.ts", [name, market.url]);
    children.push(attack.child);
    const { links } = JSON.parse(await attack.line()) as { links: number };
    const flooded = await measure();
    const grown = most() - idle;
    await kill9(attack.child);
    quiet.push(...(await beside(() => measure(ROUNDS / 2))));
    const bar = SLOWER_MAX * Math.max(QUIET_MS_LEAST, quantile(quiet, 0.99));
    const at = (q: number): string => `${quantile(quiet, q).toFixed(1)} -> ${quantile(flooded, q).toFixed(1)}`;
    return {
      ...{ row: name, "p50 ms": at(0.5), "p99 ms": at(0.99), "MiB over idle": grown.toFixed(0), links },
      ok: quantile(flooded, 0.99) <= bar && grown <= MIB_PER_1000_LINKS_MAX * Math.max(1, links / 1_000),
    };
  } finally {
    for (const child of children.reverse()) await kill9(child);
    await market.remove();
  }
}

const { positionals: asked } = typed("npm run flood -- [ROW…]", {}, { what: "row", all: Object.keys(ROWS) });
const seen: Seen[] = [];
for (const name of asked.length > 0 ? asked : Object.keys(ROWS)) {
  const one = await play(name);
  seen.push(one);
  console.log(JSON.stringify({ ...one, says: ROWS[name]?.says }));
}
console.table(seen);
process.exitCode = seen.every(({ ok }) => ok) ? 0 : 1;
