/** `npm start`: a whole market on one machine, real in every part, told step by step; `--cheat NAME` with an owner who cheats. */
import path from "node:path";
import { ROLE_SCOPES } from "@xenoservers/market";
import { Market, home, mib, saveContext, shellWord, shortId } from "@xenoservers/sdk";
import { endJobs } from "../demo/end-jobs.ts";
import type { Person, Stage } from "../demo/stage.ts";
import { HELLO, disputeAndVerify, rentAndVerify, type Rental } from "../demo/story.ts";
import type { DemoInput } from "../input/verbs/about.ts";
import { assertLinux } from "../local/right-system.ts";
import { ownFolder } from "../local/local-socket.ts";
import { pageHere } from "../local/page-here.ts";
import { untilTold } from "../local/until-told.ts";
import { bold, dim, print, printJson, say } from "../output/terminal.ts";
import { UserError, money } from "../output/ui.ts";
import { XENO } from "../own-name.ts";

const CREDIT = 10_000_000_000n;
const STAKE = 1_000_000_000n;
const CURRENCY = "credits";

const began = performance.now();
const step = (what: string): void => say(`${dim(`${((performance.now() - began) / 1_000).toFixed(1).padStart(5)} s`)}  ${what}`);

const WANTED: Rental["wanted"] = {
  ...{ cpu: 1, mem: "512M", disk: "64M", maxTime: "10m", maxFuel: 10_000, maxOutput: "16M", budget: "1.00" },
  ...{ pay: "on-result", assurance: "isolated", label: "first job" },
};

type Cheats = (typeof import("@xenoservers/xenoserver"))["CHEATS"];

export async function demo(input: DemoInput): Promise<void> {
  assertLinux("demo");
  const { CHEATS } = await import("@xenoservers/xenoserver");
  const { cheat: name } = input;
  if (name === "list") return Object.entries(CHEATS).forEach(([each, { says }]) => print(`${each.padEnd(16)} ${says}`));
  const cheat = name === null ? null : CHEATS[name];
  if (cheat === undefined) throw new UserError(`there is no cheat '${name}'; --cheat list names them`);

  const folder = path.resolve(input.data ?? path.join(home.data, cheat === null ? "demo" : "demo-cheat"));
  say(bold("Xenoservers: a market for computers, all of it on this machine"));
  step(`data in ${folder}`);
  const facts: Record<string, unknown> = {};
  const lock = await ownFolder(folder, "this market", async () => facts);
  const { Stage: Set } = await import("../demo/stage.ts");
  const stage = await Set.set({ folder, port: input.port, pages: input.page, page: pageHere, step });
  facts["url"] = stage.url;
  try {
    await play(stage, folder, cheat, input);
  } finally {
    lock.close();
    await stage.close();
  }
}

async function play(stage: Stage, folder: string, cheat: Cheats[string] | null, { once, json }: DemoInput): Promise<void> {
  const olga = await stage.person("owner", "Olga, an owner", cheat === null ? 0n : CREDIT);
  const carl = await stage.person("customer", "Carl, a customer", CREDIT);
  step("Olga owns this machine; Carl has work and some credit");
  const wanted = cheat === null ? await listMachine(stage, olga, carl) : await setTrap(stage, olga, cheat);
  process.env["XENO_HOME"] = folder; // from here on this process is Carl, whose files lie there too
  const market = Market.of(carl.client, { moduleCheck: await import("@xenoservers/engine/check") });
  const rental: Rental = { market, wanted, long: cheat?.long === true, quiet: json, step };
  const outcome = await rentAndVerify(rental);
  const judged = cheat === null ? null : await disputeAndVerify(rental, outcome.lease);
  const ok = judged === null ? outcome.ok : judged.convicted;
  const { lines } = judged ?? outcome;
  await keepCarl(stage, carl);
  const { lease, end, output } = outcome;
  if (json) printJson({ ok, lease, url: stage.url, end, output, verification: lines, verdict: judged?.verdict ?? null });
  process.exitCode = ok ? 0 : 1;
  if (once || !ok) return;
  sayNext(stage, folder, judged === null ? null : lease);
  await untilTold();
  say("closing");
  // whoever was Carl may have rotated the key meanwhile
  await endJobs(await Market.connect({ context: "demo" }));
}

/** Whoever reads on is Carl. */
async function keepCarl({ url, pins }: Stage, { client, seed }: Person): Promise<void> {
  const { party, account } = client.identity;
  const key = { role: "root" as const, scopes: [...ROLE_SCOPES.root], label: "Carl", leaseLabel: null, seed };
  await saveContext("demo", { url, pins, currency: CURRENCY, party, account, ...key });
}

function sayNext({ url }: Stage, folder: string, judged: string | null): void {
  say();
  say(`The market keeps serving at ${url} until Ctrl-C. In another terminal you are Carl:`);
  say(`  export XENO_HOME=${shellWord(folder)}`);
  const page = "token create --label page --max-per-day 2";
  const next =
    judged === null ? [`run ${shellWord(HELLO)}`, "ps --all"] : [`verify ${shortId(judged)}`, `verify ${shortId(judged)} --tamper`];
  say(`  ${[...next, "wallet"].map((words) => `${XENO} ${words}`).join("      ")}`);
  say(`In a browser ${url} is the market's page; a token for it: ${XENO} ${page}`);
}

async function listMachine(stage: Stage, olga: Person, carl: Person): Promise<Rental["wanted"]> {
  const { server, test } = await stage.machine("server", olga.client);
  const { offers } = await carl.client.read("offers", { query: {} });
  const size = `${test.resources.vcpu} vCPU, ${mib(test.resources.memoryMib)}`;
  step(`Olga's xenoserver ${shortId(server.id)} is listed: score ${test.cpuScore}, ${size}; sandbox ${offers[0]?.sandbox ?? "?"}`);
  return WANTED;
}

/** Olga puts down her stake and cheats; the operator has a referee. Carl orders from Olga. */
async function setTrap(stage: Stage, { client, isNew }: Person, cheat: Cheats[string]): Promise<Rental["wanted"]> {
  const { cheatingDriver } = await import("@xenoservers/xenoserver");
  const { party } = client.identity;
  if (isNew) await client.act("stake", { party, amountNanos: STAKE.toString(), direction: "deposit", clientId: client.newId() });
  const { server } = await stage.machine("server", client, (driver) => cheatingDriver(cheat, driver));
  step(`Olga has put down ${money(STAKE)} of stake; her xenoserver ${shortId(server.id)} ${cheat.says}`);
  const operators = await stage.person("referee", "the operator's machine", 0n);
  const referee = await stage.machine("referee", operators.client);
  await stage.operator("referee", { server: referee.server.id, active: true, clientId: client.newId() });
  step(`the operator names the xenoserver ${shortId(referee.server.id)} as referee`);
  return { ...WANTED, assurance: "replicated", where: `server=${server.id}` };
}
