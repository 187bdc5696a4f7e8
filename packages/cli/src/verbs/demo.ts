/** `npm start`: a whole market on one machine, real in every part, told step by step. */
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { ifServerVanishes, trustLine } from "@xenoservers/market";
import { formatEnrolToken, signDocument } from "@xenoservers/protocol";
import { createSigner, nodeCrypto } from "@xenoservers/protocol/node";
import {
  LeaseSession,
  MarketClient,
  RefusedError,
  checkBound,
  fetchMarket,
  fetchReceipt,
  fingerprintOf,
  identityOf,
  openLink,
  pinsOf,
  quoteFor,
  signOrder,
  type Identity,
  type Wanted,
} from "@xenoservers/sdk";
import { verifyReceipt } from "@xenoservers/verify";
import { finishJob, parseJob } from "../job-from-args.ts";
import { home, saveContext, writePrivate } from "../home.ts";
import { keepJob, readKeptJob } from "../kept-job.ts";
import { ownFolder } from "../local-socket.ts";
import { bold, dim, gigaFuel, green, mib, money, printJson, red, say, shortId, yellow } from "../ui.ts";
import { untilTold } from "./broker.ts";

export interface DemoOptions {
  once?: boolean;
  json?: boolean;
  data?: string;
  port?: string;
}

const EXAMPLE = path.resolve(import.meta.dirname, "../../../../examples/primes.py");
const CREDIT = 10_000_000_000n;
const CURRENCY = "credits";

interface Seeds {
  owner: string;
  customer: string;
}

async function loadSeeds(file: string): Promise<Seeds> {
  const text = await readFile(file, "utf8").catch(() => null);
  if (text !== null) return JSON.parse(text) as Seeds;
  const seeds = { owner: randomBytes(32).toString("hex"), customer: randomBytes(32).toString("hex") };
  await writePrivate(file, JSON.stringify(seeds));
  return seeds;
}

const began = performance.now();
const step = (what: string): void => say(`${dim(`${((performance.now() - began) / 1_000).toFixed(1).padStart(5)} s`)}  ${what}`);

export async function demo(options: DemoOptions): Promise<void> {
  const folder = path.resolve(options.data ?? path.join(home.data, "demo"));
  say(bold("Xenoservers: a market for computers, all of it on this machine"));
  step(`data in ${folder}`);
  const facts: Record<string, unknown> = {};
  const lock = await ownFolder(folder, "this market", async () => facts);
  const { startBroker } = await import("@xenoservers/xenocorp");
  const broker = await startOnPort((port) => startBroker({ dataFolder: path.join(folder, "broker"), port, name: "demo.local", progress: step }), options.port);
  facts["url"] = broker.url;
  const market = await fetchMarket(broker.url);
  const pins = pinsOf(market);
  step(`the broker answers at ${broker.url}, fingerprint ${fingerprintOf(nodeCrypto, pins)}`);

  const seeds = await loadSeeds(path.join(folder, "people.json"));
  const [owner, customer] = [identityOf(Buffer.from(seeds.owner, "hex")), identityOf(Buffer.from(seeds.customer, "hex"))];
  const clientOf = (identity: Identity): MarketClient => new MarketClient(broker.url, pins, identity);
  await register(clientOf(owner), "Olga, an owner");
  if (await register(clientOf(customer), "Carl, a customer")) {
    const credit = signDocument(nodeCrypto, broker.loaded.operator!, "credit", {
      origin: pins.origin,
      seen: null,
      party: customer.party,
      amountNanos: CREDIT.toString(),
      source: "operator",
      reference: "welcome",
      clientId: randomBytes(16).toString("hex"),
    });
    await broker.desk.submit(credit.envelope);
  }
  step("Olga owns this machine; Carl has work and some credit");

  const { enrol, readIdentity, startDaemon } = await import("@xenoservers/xenoserver");
  const serverFolder = path.join(folder, "server");
  if (!(await readIdentity(serverFolder))) {
    const seed = randomBytes(32);
    await clientOf(owner).act("key-grant", {
      party: owner.party,
      key: createSigner(seed).publicKey,
      role: "enrol",
      label: "this machine",
      account: null,
      maxSpendPerDayNanos: null,
      expiresAt: null,
    });
    await enrol(serverFolder, formatEnrolToken({ url: broker.url, ...pins, party: owner.party, seed: seed.toString("hex") }), "this machine");
  }
  let listed: () => void = () => {};
  const isListed = new Promise<void>((resolve) => (listed = resolve));
  const daemon = await startDaemon({
    folder: serverFolder,
    configFile: path.join(serverFolder, "xenoserver.toml"),
    log: (what, more) => (what === "listed" ? listed() : what.includes("refused") && say(yellow(`${what} ${JSON.stringify(more)}`))),
    connect: async () => (await import("@xenoservers/protocol/websocket")).connectPipe(broker.url),
  });
  await isListed;
  step(
    `Olga's xenoserver ${shortId(daemon.server.id)} is listed: score ${daemon.test.cpuScore}, ${daemon.test.resources.vcpu} vCPU, ${mib(daemon.test.resources.memoryMib)}; sandbox ${(await clientOf(customer).read("offers", { query: {} })).offers[0]?.sandbox ?? "?"}`,
  );

  process.env["XENO_HOME"] = folder; // from here on this process is Carl, whose files lie there too
  const outcome = await rentAndVerify(clientOf(customer), options.json === true);
  await writePrivate(path.join(folder, "receipts", `${outcome.lease}.json`), JSON.stringify(outcome.receipt));
  await saveContext("demo", {
    url: broker.url,
    pins,
    currency: CURRENCY,
    party: customer.party,
    account: customer.account,
    role: "root",
    seed: seeds.customer,
  });
  const close = async (): Promise<void> => {
    lock.close();
    await daemon.close();
    await broker.close();
  };
  if (options.json) printJson({ ok: outcome.ok, lease: outcome.lease, url: broker.url, end: outcome.end, output: outcome.output, verification: outcome.lines });
  if (options.once || !outcome.ok) {
    process.exitCode = outcome.ok ? 0 : 1;
    return close();
  }
  say();
  say(`The market keeps serving at ${broker.url} until Ctrl-C. In another terminal you are Carl:`);
  say(`  export XENO_HOME=${folder}`);
  say("  npx xeno run examples/hello.py      npx xeno ps --all      npx xeno wallet");
  await untilTold();
  say("closing");
  await close();
}

/** Tries the usual port first so that contexts stay right over restarts. */
async function startOnPort<T>(start: (port: number) => Promise<T>, wanted: string | undefined): Promise<T> {
  if (wanted !== undefined) return start(Number(wanted));
  const { createServer } = await import("node:net");
  const free = await new Promise<boolean>((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(7400, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
  return start(free ? 7400 : 0);
}

/** True when the party is new. */
async function register(client: MarketClient, name: string): Promise<boolean> {
  try {
    const { party, signer } = client.identity;
    await client.act("party", { party, name, rootKey: signer.publicKey, recoveryKey: null });
    return true;
  } catch (error) {
    if (error instanceof RefusedError && error.refusal.code === "id_reused") return false;
    throw error;
  }
}

async function rentAndVerify(client: MarketClient, quiet: boolean) {
  const wanted: Wanted = {
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
  const { offer, quote } = await quoteFor(client, wanted);
  step(`Carl wants 1 vCPU and 512M: ${money(quote.ratePerHourNanos)}/h, ${money(quote.holdNanos)} held for at most ${gigaFuel(quote.fuelMax)}`);
  step(`${trustLine(wanted.assurance)}`);
  step(`if the server vanishes he pays ${ifServerVanishes(wanted.terms)}`);
  const job = finishJob(
    await parseJob({
      file: EXAMPLE,
      args: ["20000"],
      dir: [],
      env: [],
      memoryMib: 512,
      diskMib: wanted.resources.diskMib,
      outputMib: 16,
      fuelMax: wanted.fuelMax,
    }),
    offer.engine,
  );
  await keepJob(job);
  const order = signOrder(client, wanted, job.jobHash);
  const answer = await client.submit(order.envelope);
  if (!answer.ok) throw new RefusedError(answer);
  const bound = checkBound(client, order.id, answer.answer["purchaseOrder"]);
  step(`leased: ${shortId(bound.po.id)}; the money is held, the capacity reserved, the purchase order checked by both sides`);
  let session: LeaseSession | null = null;
  let output = "";
  const link = openLink(client, { onUp: () => session?.hint(), onEvent: (event) => session?.hint(event) });
  session = new LeaseSession(
    client,
    bound,
    job,
    {
      onOutput(_stream, bytes) {
        output += Buffer.from(bytes).toString();
        if (!quiet)
          process.stderr.write(
            Buffer.from(bytes)
              .toString()
              .replaceAll(/^(?=.)/gm, "         | "),
          );
      },
      onState: (state) => void (state === "running" && step("the guest runs: Python 3.12 on WASI, in an empty root without network")),
    },
    link,
  );
  const [lease] = await Promise.all([session.settled(), session.delivered()]);
  session.close();
  link.stop();
  const end = lease.end;
  if (!end) throw new Error("the lease ended without being opened");
  step(`settled: ${end.reason}, exit code ${end.exitCode}, blame ${end.blame}`);
  step(
    `bill: ${money(end.dueNanos)} for ${gigaFuel(BigInt(end.billableFuel))}, of it ${money(end.ownerNanos)} to Olga and ${money(end.feeNanos)} fee; ${money(end.refundNanos)} came back to Carl`,
  );
  const receipt = await fetchReceipt(client, lease.id, 10_000);
  step("Carl runs the same job again himself, to compare it with what Olga signed");
  const { reExecute } = await import("../re-execute.ts");
  const reExecuted = await reExecute(await readKeptJob(job.jobHash), null);
  const { ok, lines } = verifyReceipt(client.crypto, client.pins, receipt, { customerKey: client.identity.signer.publicKey, reExecuted });
  step("verified offline, from the receipt, the pinned keys and that run alone:");
  const marks = { proved: green("proved "), claimed: yellow("claimed"), failed: red("FAILED ") };
  for (const { status, check, says } of lines) say(`         ${marks[status]} ${check.padEnd(14)} ${says}`);
  return { ok: ok && end.reason === "completed" && end.exitCode === 0, lease: lease.id, end, output, lines, receipt };
}
