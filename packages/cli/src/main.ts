/** The command line's verbs in one list; what each takes stands in `input/verbs`, its code is loaded when it is used. */
import { Command, CommanderError } from "commander";
import { completionInput, demoInput, doctorInput, versionInput } from "./input/verbs/about.ts";
import { batchCloseInput, batchOpenInput } from "./input/verbs/batch.ts";
import { contextListInput, contextUseInput } from "./input/verbs/context.ts";
import { keyAddInput, keyBackupInput, keyRevokeInput, keyRotateInput, whoamiInput } from "./input/verbs/key.ts";
import {
  attachInput,
  auditInput,
  disputeInput,
  eventsInput,
  exportInput,
  extendInput,
  fetchInput,
  appealInput,
  leaseInput,
  logsInput,
  objectInput,
  psInput,
  resultInput,
} from "./input/verbs/lease.ts";
import { loginInput } from "./input/verbs/login.ts";
import { consoleInput, copyInput, execInput, forkInput, forwardInput, screenInput, sshInput } from "./input/verbs/machine.ts";
import { mapInput } from "./input/verbs/map.ts";
import { mcpInput } from "./input/verbs/mcp.ts";
import { accountCreateInput, limitsInput, stakeInput, walletInput } from "./input/verbs/money.ts";
import {
  brokerCheckInput,
  brokerBackupInput,
  brokerInput,
  brokerOverviewInput,
  brokerProbeInput,
  brokerRereadInput,
  brokerRestoreInput,
  brokerWitnessInput,
  creditInput,
  feeInput,
  refereeInput,
  suspendInput,
} from "./input/verbs/operator.ts";
import { abuseTraceInput, serveInput, serverDrainInput, serverInput, serverStopInput } from "./input/verbs/owner.ts";
import { evidenceInput, receiptShowInput, verifyInput, witnessInput } from "./input/verbs/proof.ts";
import { quoteInput, runInput } from "./input/verbs/run.ts";
import { searchInput } from "./input/verbs/search.ts";
import { tokenCreateInput, tokenListInput } from "./input/verbs/token.ts";
import { group, verb, type Verb } from "./input/verb.ts";
import { leave, watchOver } from "./output/leave.ts";
import { ownVersion } from "./own-version.ts";
import { print, printJson, say } from "./output/terminal.ts";
import { helpFor } from "./output/help-json.ts";
import { reportError } from "./output/report.ts";
import { EXIT } from "./output/ui.ts";

const CUSTOMERS: readonly Verb[] = [
  verb("login", "pin a market's keys and get an identity in it", loginInput, async (given) =>
    (await import("./verbs/login.ts")).login(given),
  ),
  group("context", "markets known here", [
    verb("ls", "and as whom", contextListInput, async (given) => (await import("./verbs/context.ts")).contextList(given), {
      alias: "list",
    }),
    verb("use", "from now on", contextUseInput, async (given) => (await import("./verbs/context.ts")).contextUse(given)),
  ]),
  verb("whoami", "party and keys", whoamiInput, async (given) => (await import("./verbs/whoami.ts")).whoami(given)),
  group("key", "keys of one's party", [
    verb("add", "a key for another device", keyAddInput, async (given) => (await import("./verbs/key-add.ts")).keyAdd(given)),
    verb("rotate", "replace the root key", keyRotateInput, async (given) => (await import("./verbs/key-rotate.ts")).keyRotate(given)),
    verb("revoke", "by the first letters of its id, or its label", keyRevokeInput, async (given) =>
      (await import("./verbs/key-revoke.ts")).keyRevoke(given),
    ),
    verb("backup", "all of them into a file", keyBackupInput, async (given) => (await import("./verbs/key-backup.ts")).keyBackup(given)),
  ]),
  group("token", "delegated keys", [
    verb("create", "a key with its bounds", tokenCreateInput, async (given) =>
      (await import("./verbs/token-create.ts")).tokenCreate(given),
    ),
    verb("list", "what was delegated", tokenListInput, async (given) => (await import("./verbs/token-list.ts")).tokenList(given), {
      alias: "ls",
    }),
    verb("revoke", "by the first letters of its id, or its label", keyRevokeInput, async (given) =>
      (await import("./verbs/key-revoke.ts")).keyRevoke(given),
    ),
  ]),
  verb("wallet", "balances and statement", walletInput, async (given) => (await import("./verbs/wallet.ts")).wallet(given)),
  group("limits", "spend limits", [
    verb("set", "account is an id, a name or 'main'; amount or 'none'", limitsInput, async (given) =>
      (await import("./verbs/limits.ts")).limitsSet(given),
    ),
  ]),
  verb(
    "stake",
    "deposit or withdraw an owner's stake, locked lease by lease where customers ask for it; what is not locked can be withdrawn",
    stakeInput,
    async (given) => (await import("./verbs/stake.ts")).stake(given),
  ),
  group("account", "sub-accounts", [
    verb("create", "with a limit of its own", accountCreateInput, async (given) =>
      (await import("./verbs/account-create.ts")).accountCreate(given),
    ),
  ]),
  verb("search", "servers on offer: 'cpu>=2 mem>=4G region=eu price<0.05'", searchInput, async (given) =>
    (await import("./verbs/search.ts")).search(given),
  ),
  verb(
    "run",
    "run a .wasm module, a .py script, an OCI image or a whole machine on a rented computer",
    runInput,
    async (given) => (await import("./verbs/run.ts")).run(given),
    { program: true },
  ),
  verb(
    "map",
    "run a program on many files, so many at once within one budget: xeno map script.py -- 'data/*.csv'",
    mapInput,
    async (given) => (await import("./verbs/map.ts")).map(given),
    { inputs: true },
  ),
  verb("quote", "what a run would cost", quoteInput, async (given) => (await import("./verbs/quote.ts")).quote(given), { program: true }),
  group("batch", "one hold for many runs", [
    verb("open", "", batchOpenInput, async (given) => (await import("./verbs/batch-open.ts")).batchOpen(given)),
    verb("close", "", batchCloseInput, async (given) => (await import("./verbs/batch-close.ts")).batchClose(given)),
  ]),
  verb("attach", "follow a running job to its end", attachInput, async (given) => (await import("./verbs/attach.ts")).attach(given)),
  verb("fetch", "bring the files a job left in /out", fetchInput, async (given) =>
    (await import("./verbs/lease-result.ts")).fetchFiles(given),
  ),
  verb("ps", "running leases and what they cost", psInput, async (given) => (await import("./verbs/ps.ts")).ps(given), { alias: "ls" }),
  verb("logs", "a job's output", logsInput, async (given) => (await import("./verbs/logs.ts")).logs(given)),
  verb("events", "what happened, durably", eventsInput, async (given) => (await import("./verbs/events.ts")).events(given)),
  verb("export", "everything the market knows of you", exportInput, async (given) => (await import("./verbs/export.ts")).exportAll(given)),
];

const LEASES: readonly Verb[] = [
  group("lease", "one lease", [
    verb("show", "where it stands", leaseInput, async (given) => (await import("./verbs/lease-show.ts")).leaseShow(given)),
    verb("result", "what it came to: output and files, wherever they lie", resultInput, async (given) =>
      (await import("./verbs/lease-result.ts")).leaseResult(given),
    ),
    verb("stop", "end it; what it wrote is kept", leaseInput, async (given) => (await import("./verbs/lease-stop.ts")).leaseStop(given)),
    verb("extend", "let it run longer", extendInput, async (given) => (await import("./verbs/lease-extend.ts")).leaseExtend(given)),
    verb("object", "to a settlement, inside its window: a deposit, and the operator rules", objectInput, async (given) =>
      (await import("./verbs/lease-object.ts")).leaseObject(given),
    ),
    verb("appeal", "against a verdict on a lease of your xenoserver: a second referee is drawn", appealInput, async (given) =>
      (await import("./verbs/lease-appeal.ts")).leaseAppeal(given),
    ),
    verb("pause", "the machine stands still; it stays reserved and is paid for", leaseInput, async (given) =>
      (await import("./verbs/lease-request.ts")).leaseRequest(given, "pause"),
    ),
    verb("resume", "", leaseInput, async (given) => (await import("./verbs/lease-request.ts")).leaseRequest(given, "resume")),
    verb("reboot", "as by the reset button", leaseInput, async (given) =>
      (await import("./verbs/lease-request.ts")).leaseRequest(given, "reboot"),
    ),
    verb("snapshot", "keep the machine's memory and disk on its server; yours alone", leaseInput, async (given) =>
      (await import("./verbs/lease-request.ts")).leaseSnapshot(given),
    ),
    verb("fork", "so many new leases on the same server that go on from where this machine is", forkInput, async (given) =>
      (await import("./verbs/lease-fork.ts")).leaseFork(given),
    ),
  ]),
  verb("console", "the machine's serial console; Ctrl-] leaves it", consoleInput, async (given) =>
    (await import("./verbs/console.ts")).consoleOf(given),
  ),
  verb(
    "exec",
    "run a program in the machine: its streams, its exit code, with -t a terminal",
    execInput,
    async (given) => (await import("./verbs/exec.ts")).execIn(given),
    {
      passThrough: true,
    },
  ),
  verb("cp", "copy files and folders: LEASE:/path here, or here LEASE:/path", copyInput, async (given) =>
    (await import("./verbs/cp.ts")).copy(given),
  ),
  verb(
    "forward",
    "LOCAL:GUEST: a port of this machine that leads to one of the guest's; stdio:GUEST for stdin and stdout",
    forwardInput,
    async (given) => (await import("./verbs/forward.ts")).forward(given),
  ),
  verb(
    "screen",
    "the machine's screen: a port of this machine for VNC viewers, and one started where there is one; or a picture",
    screenInput,
    async (given) => (await import("./verbs/screen.ts")).screen(given),
  ),
  verb("ssh", "ssh into the machine; what follows goes to ssh", sshInput, async (given) => (await import("./verbs/ssh.ts")).ssh(given), {
    passThrough: true,
    unknown: true,
  }),
  verb("rm", "same as lease stop", leaseInput, async (given) => (await import("./verbs/lease-stop.ts")).leaseStop(given)),
  verb("verify", "check a receipt offline: each line proved, claimed or failed", verifyInput, async (given) =>
    (await import("./verbs/verify.ts")).verify(given),
  ),
  verb(
    "dispute",
    "have a referee that is drawn run the job again; a wrong result costs its owner the pay and the locked stake",
    disputeInput,
    async (given) => (await import("./verbs/dispute.ts")).dispute(given),
  ),
  verb("audit", "have the referee run what the log drew of your results, of these leases or of all", auditInput, async (given) =>
    (await import("./verbs/audit.ts")).audit(given),
  ),
  group("receipt", "receipts", [
    verb("show", "what is in one", receiptShowInput, async (given) => (await import("./verbs/receipt-show.ts")).receiptShow(given)),
  ]),
];

const OWNERS: readonly Verb[] = [
  verb("serve", "offer this machine", serveInput, async (given) => (await import("./verbs/serve.ts")).serve(given)),
  group("server", "the xenoserver running here", [
    verb("status", "", serverInput, async (given) => (await import("./verbs/server.ts")).serverCommand(given, "status")),
    verb("reread", "xenoserver.toml again, as SIGHUP does", serverInput, async (given) =>
      (await import("./verbs/server.ts")).serverCommand(given, "reread"),
    ),
    verb("drain", "take no new leases, until --undo", serverDrainInput, async (given) =>
      (await import("./verbs/server.ts")).serverCommand(given, given.undo ? "undrain" : "drain"),
    ),
    verb("stop", "drain and end; guests of running leases first", serverStopInput, async (given) =>
      (await import("./verbs/server.ts")).serverCommand(given, given.now ? "stop-now" : "stop"),
    ),
    verb("retire", "drain, end, and leave the market", serverInput, async (given) =>
      (await import("./verbs/server.ts")).serverCommand(given, "retire"),
    ),
  ]),
  group("abuse", "complaints about what came from this machine", [
    verb("trace", "which lease was behind a connection to ADDRESS[:PORT]", abuseTraceInput, async (given) =>
      (await import("./verbs/abuse-trace.ts")).abuseTrace(given),
    ),
  ]),
];

const OPERATORS: readonly Verb[] = [
  verb("broker", "run a market", brokerInput, async (given) => (await import("./verbs/broker.ts")).broker(given), {
    sub: [
      verb("reread", "xenocorp.toml again, as SIGHUP does", brokerRereadInput, async (given) =>
        (await import("./verbs/broker-reread.ts")).brokerReread(given),
      ),
      verb("backup", "", brokerBackupInput, async (given) => (await import("./verbs/broker-data.ts")).brokerBackup(given)),
      verb("restore", "into an empty market; the log starts a new epoch", brokerRestoreInput, async (given) =>
        (await import("./verbs/broker-data.ts")).brokerRestore(given),
      ),
      verb("check", "recompute books and log", brokerCheckInput, async (given) =>
        (await import("./verbs/broker-data.ts")).brokerCheck(given),
      ),
      verb("overview", "", brokerOverviewInput, async (given) => (await import("./verbs/broker-overview.ts")).brokerOverview(given)),
      verb("credit", "", creditInput, async (given) => (await import("./verbs/broker-acts.ts")).brokerCredit(given)),
      verb("suspend", "", suspendInput, async (given) => (await import("./verbs/broker-acts.ts")).brokerSuspend(given)),
      verb("referee", "its results decide disputes", refereeInput, async (given) =>
        (await import("./verbs/broker-acts.ts")).brokerReferee(given),
      ),
      verb("probe", "try servers by orders that look like any other, whose answers are known here", brokerProbeInput, async (given) =>
        (await import("./verbs/broker-probe.ts")).brokerProbe(given),
      ),
      verb("fee", "announce what the broker keeps: 2.5%", feeInput, async (given) =>
        (await import("./verbs/broker-fee.ts")).brokerFee(given),
      ),
      verb("witness", "NAME=KEY may cosign checkpoints here", brokerWitnessInput, async (given) =>
        (await import("./verbs/broker-acts.ts")).brokerWitness(given),
      ),
    ],
  }),
];

const EVERYONES: readonly Verb[] = [
  verb("witness", "watch a broker's log and cosign what extends it; refuse a fork and keep the proof", witnessInput, async (given) =>
    (await import("./verbs/witness.ts")).witness(given),
  ),
  verb(
    "evidence",
    "checkpoints, receipts or documents that contradict each other, packed into one file that convicts whoever signed them",
    evidenceInput,
    async (given) => (await import("./verbs/evidence.ts")).evidence(given),
  ),
  verb(
    "mcp",
    "serve an agent on stdin and stdout (Model Context Protocol), which spends by a capped token in XENO_TOKEN",
    mcpInput,
    async (given) => (await import("./verbs/mcp.ts")).mcp(given),
  ),
  verb("demo", "a whole market on this machine: list, rent, run, pay, verify", demoInput, async (given) =>
    (await import("./verbs/demo.ts")).demo(given),
  ),
  verb("doctor", "what is wrong here, and what to do", doctorInput, async (given) => (await import("./verbs/doctor.ts")).doctor(given)),
  verb("version", "versions", versionInput, async (given) => (await import("./verbs/version.ts")).version(given)),
  verb("completion", 'for bash, zsh or fish: eval "$(xeno completion bash)"', completionInput, async (given) =>
    (await import("./verbs/completion.ts")).completion(given, program()),
  ),
];

const VERBS: readonly Verb[] = [...CUSTOMERS, ...LEASES, ...OWNERS, ...OPERATORS, ...EVERYONES];

const linesOf = (text: string): string[] => text.trimEnd().split("\n");

export function program(): Command {
  const xeno = new Command("xeno")
    .description("An open market for computers: rent one by the second, or rent out yours.")
    .enablePositionalOptions()
    .version(ownVersion(), "--version", "this program's version")
    .option("--curl", "before the verb: shows each call of the market's API on stderr, as curl makes it")
    .hook("preAction", async (root) => {
      if (root.opts()["curl"] === true) (await import("./output/as-curl.ts")).showCalls();
    })
    .showHelpAfterError("(--help shows what it takes)")
    .configureOutput({ writeOut: (text) => print(...linesOf(text)), writeErr: (text) => say(...linesOf(text)) })
    .exitOverride();
  for (const each of VERBS) each.declare(xeno);
  return xeno;
}

/** What follows `--` is another program's. */
const isForPrograms = (argv: readonly string[]): boolean => argv.slice(0, [...argv, "--"].indexOf("--")).includes("--json");

/** Help that was asked for is no error; its words have been said. */
function usageEnd({ exitCode, message }: CommanderError, json: boolean): number {
  if (exitCode === 0) return 0;
  if (json) printJson({ error: { code: "usage", says: message.replace(/^error: /, "") } });
  return EXIT.xeno;
}

export async function main(argv: string[]): Promise<void> {
  watchOver((error) => reportError(error, isForPrograms(argv)));
  if (argv[0] === "help" && argv.includes("--json")) return printJson(helpFor(program()));
  try {
    await program().parseAsync(argv, { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) process.exitCode = usageEnd(error, isForPrograms(argv));
    else process.exitCode = await reportError(error, isForPrograms(argv));
    if (error instanceof CommanderError) return;
  }
  // links, pools and embedded programs are closed by their verbs; what a library keeps open must not keep a shell waiting
  await leave();
}
