/** `npm start`: a whole market on one machine, real in every part, told step by step; `--cheat NAME` with an owner who cheats. */
import path from "node:path";
import type { Wanted } from "@xenoservers/sdk";
import { setStage, type Stage } from "../demo/stage.ts";
import { disputeAndVerify, rentAndVerify, type Rental } from "../demo/story.ts";
import { home, saveContext, writePrivate } from "../input/home.ts";
import { ownFolder } from "../local/local-socket.ts";
import { UserError, bold, dim, mib, money, print, printJson, say, shortId } from "../output/ui.ts";
import { untilTold } from "./broker.ts";

export interface DemoOptions {
  once?: boolean;
  json?: boolean;
  data?: string;
  port?: string;
  cheat?: string;
}

const CREDIT = 10_000_000_000n;
const STAKE = 1_000_000_000n;
const CURRENCY = "credits";

const began = performance.now();
const step = (what: string): void => say(`${dim(`${((performance.now() - began) / 1_000).toFixed(1).padStart(5)} s`)}  ${what}`);

const WANTED: Wanted = {
  resources: { vcpu: 1, memoryMib: 512, diskMib: 64 },
  conditions: [],
  terms: "on-result",
  assurance: "isolated",
  on: "market",
  maxPriceNanosPerHour: null,
  durationMsMax: 600_000,
  budgetNanos: 1_000_000_000n,
  fuelMax: 10n ** 13n,
  label: "first job",
};

export async function demo(options: DemoOptions): Promise<void> {
  const { CHEATS } = await import("@xenoservers/xenoserver");
  if (options.cheat === "list") return Object.entries(CHEATS).forEach(([name, { says }]) => print(`${name.padEnd(16)} ${says}`));
  const cheat = options.cheat === undefined ? null : CHEATS[options.cheat];
  if (cheat === undefined) throw new UserError(`there is no cheat '${options.cheat}'; --cheat list names them`);

  const folder = path.resolve(options.data ?? path.join(home.data, cheat === null ? "demo" : "demo-cheat"));
  say(bold("Xenoservers: a market for computers, all of it on this machine"));
  step(`data in ${folder}`);
  const facts: Record<string, unknown> = {};
  const lock = await ownFolder(folder, "this market", async () => facts);
  const stage = await setStage(folder, options.port, step);
  facts["url"] = stage.url;
  const olga = await stage.person("owner", "Olga, an owner", cheat === null ? 0n : CREDIT);
  const carl = await stage.person("customer", "Carl, a customer", CREDIT);
  step("Olga owns this machine; Carl has work and some credit");
  const close = async (): Promise<void> => {
    lock.close();
    await stage.close();
  };
  const rental: Rental = { client: carl.client, wanted: WANTED, long: cheat?.long === true, quiet: options.json === true, step };
  if (cheat !== null) rental.wanted = await setTrap(stage, olga, options.cheat!);
  else {
    const { server, test } = await stage.machine("server", olga.client);
    const { offers } = await carl.client.read("offers", { query: {} });
    step(
      `Olga's xenoserver ${shortId(server.id)} is listed: score ${test.cpuScore}, ${test.resources.vcpu} vCPU, ${mib(test.resources.memoryMib)}; sandbox ${offers[0]?.sandbox ?? "?"}`,
    );
  }

  process.env["XENO_HOME"] = folder; // from here on this process is Carl, whose files lie there too
  const outcome = await rentAndVerify(rental);
  const judged = cheat === null ? null : await disputeAndVerify(rental, outcome);
  const ok = judged === null ? outcome.ok : judged.convicted;
  const { receipt, lines } = judged ?? outcome;
  await writePrivate(path.join(folder, "receipts", `${outcome.lease}.json`), JSON.stringify(receipt));
  const { party, account } = carl.client.identity;
  await saveContext("demo", { url: stage.url, pins: stage.pins, currency: CURRENCY, party, account, role: "root", seed: carl.seed });
  if (options.json)
    printJson({ ok, lease: outcome.lease, url: stage.url, end: outcome.end, output: outcome.output, verification: lines, verdict: judged?.verdict ?? null });
  if (options.once || !ok) {
    process.exitCode = ok ? 0 : 1;
    return close();
  }
  say();
  say(`The market keeps serving at ${stage.url} until Ctrl-C. In another terminal you are Carl:`);
  say(`  export XENO_HOME=${folder}`);
  if (judged) say(`  npx xeno verify ${shortId(outcome.lease)}      npx xeno verify ${shortId(outcome.lease)} --tamper      npx xeno wallet`);
  else say("  npx xeno run examples/hello.py      npx xeno ps --all      npx xeno wallet");
  await untilTold();
  say("closing");
  await close();
}

/** Olga puts down her stake and cheats; the operator has a referee. Carl orders from Olga. */
async function setTrap(stage: Stage, olga: Awaited<ReturnType<Stage["person"]>>, name: string): Promise<Wanted> {
  const { CHEATS, cheatingDriver } = await import("@xenoservers/xenoserver");
  const cheat = CHEATS[name]!;
  const { client } = olga;
  if (olga.isNew) await client.act("stake", { party: client.identity.party, amountNanos: STAKE.toString(), direction: "deposit", clientId: client.newId() });
  const { server } = await stage.machine("server", client, (driver) => cheatingDriver(cheat, driver));
  step(`Olga has put down ${money(STAKE)} of stake; her xenoserver ${shortId(server.id)} ${cheat.says}`);
  const operators = await stage.person("referee", "the operator's machine", 0n);
  const referee = await stage.machine("referee", operators.client);
  await stage.operator("referee", { server: referee.server.id, active: true, clientId: client.newId() });
  step(`the operator names the xenoserver ${shortId(referee.server.id)} as referee`);
  return { ...WANTED, assurance: "replicated", conditions: [{ key: "server", op: "=", value: server.id }] };
}
