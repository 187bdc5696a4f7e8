/** `xeno run`: quote, order, send, follow, fetch, pay. Progress on stderr, the job's own output on stdout and stderr. */
import { readFile } from "node:fs/promises";
import { isCancel, select } from "@clack/prompts";
import { REPLICAS_MAX, ifServerVanishes, parseConditions, trustLine, type Assurance, type PaymentTerms } from "@xenoservers/market";
import {
  LeaseSession,
  PYTHON,
  RefusedError,
  checkBound,
  openLink,
  signOrder,
  type BuiltJob,
  type BuiltVm,
  type MarketClient,
  type Quoted,
  type Wanted,
} from "@xenoservers/sdk";
import { verifyReceipt } from "@xenoservers/verify";
import { exitCodeOf, fetchInto, keepReceipt, unfetched } from "../output/deliver.ts";
import { openClient } from "../input/home.ts";
import { finishJob, parseJob, type ParsedJob, type SharedFolder } from "../input/job-from-args.ts";
import { keepJob } from "../input/kept-job.ts";
import { parseAmount, parseCount, parseDurationMs, parseGigaFuel, parseSizeMib } from "../input/parse.ts";
import { EXIT, UserError, countOf, dim, duration, gigaFuel, mib, money, print, printJson, red, say, shortId, yellow } from "../output/ui.ts";
import { endLine } from "./lease.ts";
import { asksForVm, parseVm, type ParsedVm, type VmOptions } from "../input/vm-from-args.ts";
import { auditLine, auditQuote, auditResult } from "../proof/audit.ts";
import { quoteReplicas, runReplicas } from "./run-replicas.ts";

export interface RunOptions extends VmOptions {
  in?: string;
  out?: string;
  dir: string[];
  env: string[];
  stdin?: boolean;
  budget: string;
  maxPrice?: string;
  maxTime: string;
  pay?: PaymentTerms;
  assurance: Assurance;
  replicas: string;
  audit?: boolean;
  on: "mine" | "market";
  where: string;
  cpu: string;
  mem?: string;
  disk?: string;
  maxOutput: string;
  maxFuel: string;
  label: string;
  batch?: string;
  detach?: boolean;
  dryRun?: boolean;
  local?: boolean;
  quiet?: boolean;
  json?: boolean;
}

const WASM_MEMORY = "512M";
const WASM_DISK = "256M";

/** A machine is paid by interval: nothing proves its result, unless it is deterministic. */
function termsOf(options: RunOptions, isVm: boolean): PaymentTerms {
  return options.pay ?? (isVm && options.assurance !== "deterministic-vm" ? "by-interval" : "on-result");
}

function wantedOf(options: RunOptions, machine: ParsedVm | null): Wanted {
  const conditions = parseConditions(options.where);
  if (!conditions.ok) throw new UserError(`--where '${conditions.condition}': ${conditions.why}`);
  return {
    resources: machine?.resources ?? {
      vcpu: parseCount(options.cpu, "--cpu", 1024),
      memoryMib: parseSizeMib(options.mem ?? WASM_MEMORY, "--mem"),
      diskMib: parseSizeMib(options.disk ?? WASM_DISK, "--disk", 0),
    },
    ...(machine ? { vm: machine.vm } : {}),
    conditions: conditions.conditions,
    terms: termsOf(options, machine !== null),
    assurance: options.assurance !== "isolated" || (options.replicas === "1" && options.audit !== true) ? options.assurance : "replicated",
    on: options.on,
    maxPriceNanosPerHour: options.maxPrice === undefined ? null : parseAmount(options.maxPrice, "--max-price"),
    durationMsMax: parseDurationMs(options.maxTime, "--max-time"),
    fuelMax: parseGigaFuel(options.maxFuel, "--max-fuel"),
    budgetNanos: parseAmount(options.budget, "--budget"),
    label: options.label,
    ...(options.batch === undefined ? {} : { batch: options.batch }),
  };
}

interface Shown {
  server: string;
  ratePerHourNanos: string;
  holdNanos: string;
  worstNanos: string;
  walletAfterNanos: string;
  durationMsMax: number;
  trust: string;
  ifServerVanishes: string;
}

/** Of the machine: how it runs, how fast its one core is, what holds its neighbours off, what it may reach. */
function machineLine({ accel, vmScore, cpuScore, limits }: Quoted["offer"], { vm }: Wanted): string {
  const how = accel === "kvm" ? "by hardware (KVM)" : yellow("EMULATED in software: slow");
  const { egress, egressMibMax } = vm!;
  const reach =
    egress === "none" ? "no network out" : `out to ${egress === "public" ? "public addresses" : (egress as string[]).join(", ")}, at most ${mib(egressMibMax)}`;
  return `machine  ${how}, score ${vmScore} (the server itself ${cpuScore}); limits by ${limits}; ${reach}`;
}

async function showQuote(
  client: MarketClient,
  { offer, quote }: Quoted,
  more: readonly Quoted[],
  wanted: Wanted,
  currency: string,
  quiet: boolean,
): Promise<Shown> {
  const { balances } = await client.read("accounts");
  const replicas = wanted.replicas ?? 1;
  const dearest = [quote, ...more.map((each) => each.quote)].map((each) => each.holdNanos).sort((a, b) => (a < b ? 1 : -1));
  const holdNanos = dearest.slice(0, replicas).reduce((sum, each) => sum + each, 0n);
  const shown: Shown = {
    server: offer.server,
    ratePerHourNanos: quote.ratePerHourNanos.toString(),
    holdNanos: holdNanos.toString(),
    worstNanos: holdNanos.toString(),
    walletAfterNanos: (BigInt(balances.available) - holdNanos).toString(),
    durationMsMax: quote.durationMsMax,
    trust: trustLine(wanted.assurance, wanted.vm !== undefined),
    ifServerVanishes: ifServerVanishes(wanted.terms),
  };
  if (quiet) return shown;
  const { vcpu, memoryMib, diskMib } = wanted.resources;
  say(
    `server   ${shortId(offer.server)}  ${vcpu} vCPU, ${mib(memoryMib)} memory, ${mib(diskMib)} disk  ${money(shown.ratePerHourNanos, currency)}/h  sandbox ${offer.sandbox}`,
  );
  if (wanted.vm) say(machineLine(offer, wanted));
  for (const { offer: other } of more) say(`     or  ${shortId(other.server)} of another owner  ${money(other.priceNanosPerHour, currency)}/h`);
  if (replicas > 1) say(`replicas ${replicas} of these ${more.length + 1} owners, drawn by the broker; all of them in one hold`);
  const fuel = wanted.terms === "on-result" ? `${gigaFuel(quote.fuelMax)}${quote.fuelBound === "budget" ? " (what your budget pays for)" : ""} and ` : "";
  say(
    `hold     ${money(shown.holdNanos, currency)} for at most ${fuel}${duration(quote.durationMsMax)}${quote.timeBound === "budget" ? " (what your budget pays for)" : ""}; what is not used comes back`,
  );
  say(`worst    ${money(shown.worstNanos, currency)}; wallet after that ${money(shown.walletAfterNanos, currency)}`);
  say(`trust    ${shown.trust}`);
  say(`terms    ${wanted.terms}; if the server vanishes you pay ${shown.ifServerVanishes}`);
  return shown;
}

/** What is to run, of either kind. */
interface Work {
  shared: SharedFolder[];
  says: string[];
  build(offer: Quoted["offer"]): BuiltJob | BuiltVm;
  /** For `--local`; null for a machine. */
  module: ParsedJob | null;
}

async function workOf(file: string | undefined, args: string[], options: RunOptions, wanted: Wanted, machine: ParsedVm | null): Promise<Work> {
  if (machine) return { shared: machine.shared, says: machine.says, build: ({ vmEngine }) => machine.build(vmEngine, wanted.fuelMax), module: null };
  if (file === undefined) throw new UserError("say what to run: a .wasm module, a .py script, the name of an image, or --vm, --kernel, --iso");
  const parsed = await parseJob({
    file,
    args,
    dir: options.dir,
    env: options.env,
    memoryMib: wanted.resources.memoryMib,
    diskMib: wanted.resources.diskMib,
    outputMib: parseSizeMib(options.maxOutput, "--max-output"),
    fuelMax: wanted.fuelMax,
    ...(options.in === undefined ? {} : { in: options.in }),
    ...(options.stdin ? { stdin: true } : {}),
  });
  const says = parsed.isPython ? [`python   ${PYTHON.name}: ${PYTHON.lacks}`] : [];
  return { shared: parsed.shared, says, build: ({ engine }) => finishJob(parsed, engine), module: parsed };
}

export async function run(file: string | undefined, args: string[], options: RunOptions): Promise<void> {
  const deterministic = options.assurance === "deterministic-vm";
  const machine = asksForVm(file, options) ? await parseVm(file, args, options, { ...options, deterministic }) : null;
  if (!machine && deterministic)
    throw new UserError("--assurance deterministic-vm is for machines: --kernel FILE --initrd FILE; a module is deterministic by itself");
  const wanted = wantedOf(options, machine);
  const parsed = await workOf(file, args, options, wanted, machine);
  const quiet = options.quiet === true || options.json === true;
  if (!quiet) for (const line of parsed.says) say(dim(line));
  if (options.local) {
    if (!parsed.module) throw new UserError("--local runs modules and scripts; a virtual machine needs a server: xeno serve");
    const { runLocally } = await import("../local/local-run.ts");
    process.exitCode = await runLocally(parsed.module, wanted, options.out, options.json === true);
    return;
  }
  const { client, context } = await openClient();
  const replicas = parseCount(options.replicas, "--replicas", REPLICAS_MAX);
  if (replicas > 1) wanted.replicas = replicas;
  const [quoted, ...more] = await quoteReplicas(client, wanted, replicas);
  const shown = await showQuote(client, quoted!, more, wanted, context.currency, quiet);
  if (options.audit && !quiet) say(auditQuote(quoted!, context.currency));
  if (options.dryRun) {
    if (options.json) printJson({ quote: shown });
    return;
  }
  const job = parsed.build(quoted!.offer);
  if (replicas > 1 && options.audit) throw new UserError("--audit is for one server; replicas are compared with each other");
  if (replicas > 1) {
    const { out, json } = options;
    return runReplicas(client, job, parsed, wanted, {
      json: json === true,
      quiet,
      currency: context.currency,
      ...(out === undefined ? {} : { out }),
    });
  }
  await runOnMarket(client, job, parsed, wanted, options, context.currency);
}

async function runOnMarket(client: MarketClient, job: BuiltJob | BuiltVm, parsed: Work, wanted: Wanted, options: RunOptions, currency: string): Promise<void> {
  const quiet = options.quiet === true || options.json === true;
  const order = signOrder(client, wanted, job.jobHash);
  const answer = await client.submit(order.envelope);
  if (!answer.ok) throw new RefusedError(answer);
  const bound = checkBound(client, order.id, answer.answer["purchaseOrder"]);
  if (!quiet) say(dim(`lease    ${shortId(bound.po.id)}`));
  if (!quiet && job.kind === "vm" && job.spec.vm.kind !== "oci") say(dim(`         console below; type into it with: xeno console ${shortId(bound.po.id)}`));
  await keepJob(job);
  let session: LeaseSession | null = null;
  let started: () => void = () => {};
  const running = new Promise<void>((resolve) => (started = resolve));
  const link = openLink(client, { onUp: () => session?.hint(), onEvent: (event) => session?.hint(event) });
  const output = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  session = new LeaseSession(
    client,
    bound,
    job,
    {
      onOutput: (stream, bytes) => {
        if (options.json) output[stream].push(bytes);
        else if (!options.detach) process[stream].write(bytes);
      },
      onState(state) {
        if (state === "running" || state === "ended") started();
        if (!quiet && (state.startsWith("problem") || state === "reconnecting" || state === "matched again")) say(yellow(`         ${state}`));
      },
    },
    link,
  );
  const close = (): void => {
    session.close();
    link.stop();
  };
  if (options.detach) {
    const failed = await Promise.race([running, session.settled(), session.failed]);
    if (failed instanceof Error) await client.act("stop", { lease: session.lease, party: client.identity.party, reason: "a part of the job could not be had" });
    close();
    if (failed instanceof Error) throw new UserError(`${failed.message}; the lease was ended and the money is back`);
    if (options.json) printJson({ lease: session.lease, detached: true });
    else {
      print(session.lease);
      say(`it runs on; follow it with: xeno attach ${shortId(session.lease)}`);
    }
    return;
  }
  const interrupted = onInterrupt(client, session);
  const ended = Promise.all([session.settled(), fetchInto(session, options.out, parsed.shared)]);
  const left = await Promise.race([ended, interrupted.left, session.failed]);
  if (left instanceof Error) {
    await client.act("stop", { lease: session.lease, party: client.identity.party, reason: "a part of the job could not be had" });
    await session.settled();
    close();
    throw new UserError(`${left.message}; the lease was ended and the money is back`);
  }
  if (left === "detach") {
    close();
    process.exitCode = EXIT.interrupted;
    return say(`it runs on; follow it with: xeno attach ${shortId(session.lease)}`);
  }
  const [lease, tree] = await ended;
  interrupted.done();
  close();
  const detail = (await session.delivered())?.result.detail ?? "";
  const failed = await checkReceipt(client, lease.id);
  process.exitCode = exitCodeOf(lease);
  const audit = options.audit ? await auditResult(client, bound, lease, job, wanted) : null;
  if (audit?.wrong) process.exitCode = EXIT.xeno;
  if (options.json)
    return printJson({
      lease: lease.id,
      end: lease.end,
      detail,
      audit,
      stdout: Buffer.concat(output.stdout).toString(),
      stderr: Buffer.concat(output.stderr).toString(),
    });
  if (!quiet || lease.end?.reason !== "completed") {
    say(endLine(lease, currency));
    if (detail !== "") say(`         ${detail}`);
  }
  if (!quiet) {
    const files = unfetched(tree, options.out);
    if (audit) say(auditLine(audit, currency));
    for (const line of failed) say(red(`         the receipt does not hold: ${line}`));
    if (files > 0) say(`         ${countOf(files, "file")} in /out at the server: xeno fetch ${shortId(lease.id)} --out DIR`);
    say(
      dim(
        `         check it: xeno verify ${shortId(lease.id)}${wanted.assurance === "isolated" && job.kind === "vm" ? "" : `   run it again here and compare: xeno verify ${shortId(lease.id)} --re-execute`}`,
      ),
    );
  }
}

/** Keeps the receipt and checks it at once: purchase order, result and bill; returns what is wrong, in words. */
async function checkReceipt(client: MarketClient, lease: string): Promise<string[]> {
  const receipt: unknown = JSON.parse(await readFile(await keepReceipt(client, lease, 0), "utf8"));
  const { lines } = verifyReceipt(client.crypto, client.pins, receipt, { customerKey: client.identity.signer.publicKey });
  return lines.filter(({ status }) => status === "failed").map(({ check, says }) => `${check}: ${says}`);
}

/** Ctrl-C: a person is asked; a script's job runs on. */
function onInterrupt(client: MarketClient, session: LeaseSession): { left: Promise<"detach">; done(): void } {
  let leave: (how: "detach") => void = () => {};
  const left = new Promise<"detach">((resolve) => (leave = resolve));
  let asking = false;
  const handler = async (): Promise<void> => {
    if (asking || !process.stdin.isTTY) return leave("detach");
    asking = true;
    const choice = await select({
      message: "The job is running. What now?",
      options: [
        { value: "detach", label: "detach: it runs on" },
        { value: "stop", label: "stop it and keep what it wrote" },
        { value: "continue", label: "continue watching" },
      ],
    });
    asking = false;
    if (isCancel(choice) || choice === "detach") leave("detach");
    else if (choice === "stop") await client.act("stop", { lease: session.lease, party: client.identity.party, reason: "interrupted" });
  };
  const listener = (): void => void handler();
  process.on("SIGINT", listener);
  return { left, done: () => void process.removeListener("SIGINT", listener) };
}
