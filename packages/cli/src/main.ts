/** The command line's verbs and their options, in one table; each verb's code is loaded when it is used. */
import { Command, Option } from "commander";
import { EXIT, reportError } from "./output/ui.ts";

const json = (command: Command): Command => command.option("--json", "one JSON object on stdout");
const data = (command: Command): Command => command.option("--data <dir>", "folder of this program's data");
const many = (value: string, before: string[]): string[] => [...before, value];

export function program(): Command {
  const xeno = new Command("xeno")
    .description("An open market for computers: rent one by the second, or rent out yours.")
    .enablePositionalOptions()
    .showHelpAfterError("(--help shows what it takes)")
    .exitOverride();
  const party = () => import("./verbs/party.ts");
  const lease = () => import("./verbs/lease.ts");
  const wallet = () => import("./verbs/wallet.ts");
  const serve = () => import("./verbs/serve.ts");
  const broker = () => import("./verbs/broker.ts");

  // a customer's verbs
  json(
    xeno
      .command("login [url]")
      .description("pin a market's keys and get an identity in it")
      .option("--name <name>", "what the market calls you")
      .option("--context <name>", "name it is kept under here")
      .option("--token <token>", "use a delegated key")
      .option("--witness <name=key>", "whose cosignatures on the log count; again for each", many, [])
      .option("-y, --yes", "do not ask about the fingerprint"),
  ).action(async (url: string | undefined, options) => (await import("./verbs/login.ts")).login(url, options));
  const context = xeno.command("context").description("markets known here");
  json(context.command("ls").alias("list")).action(async (options) => (await party()).contextList(options));
  context.command("use <name>").action(async (name: string) => (await party()).contextUse(name));
  json(xeno.command("whoami").description("party and keys")).action(async (options) => (await party()).whoami(options));
  const key = xeno.command("key").description("keys of one's party");
  json(key.command("add <label>").description("a key for another device")).action(async (label: string, options) => (await party()).keyAdd(label, options));
  json(key.command("rotate").description("replace the root key")).action(async (options) => (await party()).keyRotate(options));
  key
    .command("revoke <key>")
    .option("--reason <text>", "said in the public log", "")
    .action(async (id: string, options) => (await party()).keyRevoke(id, options));
  key.command("backup <file>").action(async (file: string) => (await party()).keyBackup(file));
  const token = xeno.command("token").description("delegated keys");
  json(
    token
      .command("create")
      .option("--max-spend <amount>", "most it may spend per day")
      .option("--expires <duration>", "such as 30d")
      .option("--label <text>", "what it is for", "token")
      .option("--server", "an enrolment token for one machine"),
  ).action(async (options) => (await party()).tokenCreate(options));
  json(
    xeno.command("wallet").description("balances and statement").option("--csv", "statement as CSV").option("--limit <n>", "entries of the statement", "20"),
  ).action(async (options) => (await wallet()).wallet(options));
  xeno
    .command("limits")
    .description("spend limits")
    .command("set <account> <amount>")
    .description("account is an id or 'main'; amount or 'none'")
    .action(async (account: string, amount: string) => (await wallet()).limitSet(account, amount));
  xeno
    .command("stake <deposit|withdraw> <amount>")
    .description("an owner's stake, locked lease by lease where customers ask for it; what is not locked can be withdrawn")
    .action(async (direction: string, amount: string) => (await wallet()).stake(direction, amount));
  json(
    xeno
      .command("account")
      .description("sub-accounts")
      .command("create <name>")
      .option("--limit <amount>", "most it may spend")
      .option("--parent <account>", "under which account"),
  ).action(async (name: string, options) => (await wallet()).accountCreate(name, options));
  json(
    xeno
      .command("search [conditions...]")
      .description("servers on offer: 'cpu>=2 mem>=4G region=eu price<0.05'")
      .addOption(new Option("-o, --order <by>").choices(["price", "cost-per-work"]).default("price"))
      .addOption(new Option("--on <whose>").choices(["mine", "market"]).default("market"))
      .option("--explain", "say what excluded the others")
      .option("--limit <n>", "how many", "20"),
  ).action(async (words: string[], options) => (await import("./verbs/search.ts")).search(words, options));

  const runOptions = (command: Command): Command =>
    json(command)
      .option("--in <dir>", "read-only at /in")
      .option("--out <dir>", "what the job leaves in /out comes back here")
      .option("--dir <host::guest>", "copied in, changes copied back", many, [])
      .option("--env <name=value>", "environment", many, [])
      .option("--stdin", "send standard input (read to its end first)")
      .option("--budget <amount>", "most it may cost", "1.00")
      .option("--max-price <amount>", "most per hour")
      .option("--max-time <duration>", "longest run", "1h")
      .option("--audit", "chance decides, after the owner has signed, whether the referee runs the job too")
      .option("--replicas <count>", "on servers of so many owners; shown when their signed results agree, else a referee decides", "1")
      .addOption(
        new Option("--assurance <class>", "replicated: the owner's stake is locked against a wrong result")
          .choices(["isolated", "replicated", "deterministic-vm"])
          .default("isolated"),
      )
      .addOption(new Option("--pay <terms>", "default on-result; by-interval for machines").choices(["on-result", "by-interval"]))
      .addOption(new Option("--on <whose>").choices(["mine", "market"]).default("market"))
      .option("--where <conditions>", "as for search", "")
      .option("--cpu <n>", "vCPUs", "1")
      .option("--mem <size>", "memory (default 512M)")
      .option("--disk <size>", "room for files (default 256M; of an image 2G, of a disk image its own size)")
      .option("--max-output <size>", "of stdout and stderr", "64M")
      .option("--max-fuel <giga>", "stop the job after this much fuel, in 10^9 (about 0.1 s of one core each)", "100000")
      .option("--label <text>", "shown by ps", "")
      .option("--batch <id>", "draw on a batch's hold")
      .option("-q, --quiet", "only the job's own output")
      .option("--image <ref>", "an OCI image: NAME:TAG, oci:DIR[:NAME] or archive:FILE; what follows -- runs in it")
      .option("--entrypoint <program>", "in place of the image's own")
      .option("--vm <image>", "boot a disk image, a file or an address with --digest")
      .addOption(new Option("--format <format>", "of the disk image").choices(["qcow2", "raw"]))
      .option("--digest <sha256>", "of an image that the server fetches by address")
      .option("--iso <file>", "an installer's medium")
      .option("--kernel <file>", "boot a Linux kernel")
      .option("--initrd <file>", "with this initial RAM disk")
      .option("--append <words>", "the kernel's command line (default console=ttyS0)")
      .addOption(new Option("--machine <type>", "default pc, of disk images q35").choices(["pc", "q35", "microvm"]))
      .option("--uefi", "UEFI firmware in place of BIOS")
      .option("--tpm", "a TPM 2.0")
      .option("--windows", "what Windows needs: q35, UEFI, TPM 2.0, SATA, e1000")
      .option("--hostname <name>", "of the guest")
      .option("--user <name>", "made by cloud-init; of an OCI image: run as")
      .option("--ssh-key <file>", "a public key that may log in (cloud-init)")
      .option("--user-data <file>", "cloud-init's, as it is")
      .option("--network", "a network card, for ssh and forward; nothing leads out")
      .option("--egress <names>", "names the guest may reach, or public; where the owner allows it", "none")
      .option("--egress-max <size>", "most it may send and receive", "1G")
      .addOption(new Option("--accel <how>", "any: servers that emulate machines in software too").choices(["kvm", "any"]).default("kvm"));
  runOptions(
    xeno
      .command("run [file] [args...]")
      .description("run a .wasm module, a .py script, an OCI image or a whole machine on a rented computer")
      .option("-d, --detach", "return when it runs")
      .option("--dry-run", "show the quote only")
      .option("--local", "here, without a market"),
  ).action(async (file: string | undefined, args: string[], options) => (await import("./verbs/run.ts")).run(file, args, options));
  runOptions(xeno.command("quote [file] [args...]").description("what a run would cost")).action(async (file: string | undefined, args: string[], options) =>
    (await import("./verbs/run.ts")).run(file, args, { ...options, dryRun: true }),
  );
  const batch = xeno.command("batch").description("one hold for many runs");
  json(batch.command("open <budget>").option("--expires <duration>", "when what is left comes back", "1d")).action(async (budget: string, options) =>
    (await import("./verbs/batch.ts")).batchOpen(budget, options),
  );
  json(batch.command("close <batch>")).action(async (id: string, options) => (await import("./verbs/batch.ts")).batchClose(id, options));
  xeno
    .command("attach <lease>")
    .description("follow a running job to its end")
    .action(async (id: string) => (await lease()).attach(id));
  xeno
    .command("fetch <lease>")
    .description("bring the files a job left in /out")
    .requiredOption("--out <dir>", "where to")
    .action(async (id: string, options) => (await lease()).fetchResults(id, options));
  json(xeno.command("ps").alias("ls").description("running leases and what they cost").option("-a, --all", "ended ones too")).action(async (options) =>
    (await lease()).ps(options),
  );
  const leaseVerb = xeno.command("lease").description("one lease");
  json(leaseVerb.command("show <lease>")).action(async (id: string, options) => (await lease()).leaseShow(id, options));
  json(leaseVerb.command("stop <lease>")).action(async (id: string, options) => (await lease()).leaseStop(id, options));
  json(leaseVerb.command("extend <lease> <duration>").description("let it run longer")).action(async (id: string, by: string, options) =>
    (await lease()).leaseExtend(id, by, options),
  );
  leaseVerb
    .command("object <lease>")
    .description("object to a settlement inside its window")
    .requiredOption("--reason <text>")
    .option("--expected <nanos>", "what would have been right", "0")
    .action(async (id: string, options) => (await lease()).leaseObject(id, options));
  const machine = () => import("./verbs/machine.ts");
  json(leaseVerb.command("pause <lease>").description("the machine stands still; it stays reserved and is paid for")).action(async (id: string, options) =>
    (await machine()).leaseRequest(id, "pause", options),
  );
  json(leaseVerb.command("resume <lease>")).action(async (id: string, options) => (await machine()).leaseRequest(id, "resume", options));
  json(leaseVerb.command("reboot <lease>").description("as by the reset button")).action(async (id: string, options) =>
    (await machine()).leaseRequest(id, "reboot", options),
  );
  json(leaseVerb.command("snapshot <lease>").description("keep the machine's memory and disk on its server; yours alone")).action(async (id: string, options) =>
    (await machine()).leaseRequest(id, "snapshot", options),
  );
  json(
    leaseVerb
      .command("fork <lease> <count>")
      .description("so many new leases on the same server that go on from where this machine is")
      .option("--budget <amount>", "for each", "1.00")
      .option("--max-time <duration>", "for each", "1h"),
  ).action(async (id: string, count: string, options) => (await machine()).leaseFork(id, count, options));
  xeno
    .command("console <lease>")
    .description("the machine's serial console; Ctrl-] leaves it")
    .action(async (id: string) => (await machine()).consoleOf(id));
  json(xeno.command("exec <lease> <command...>").description("run a program in the machine (its guest agent does it)").passThroughOptions()).action(
    async (id: string, command: string[], options) => (await machine()).execIn(id, command, options),
  );
  xeno
    .command("cp <from> <to>")
    .description("copy one file: LEASE:/path here, or here LEASE:/path")
    .action(async (from: string, to: string) => (await machine()).copy(from, to));
  xeno
    .command("forward <lease> <ports>")
    .description("LOCAL:GUEST: a port of this machine that leads to one of the guest's; stdio:GUEST for stdin and stdout")
    .action(async (id: string, ports: string) => (await machine()).forward(id, ports));
  xeno
    .command("ssh <lease> [args...]")
    .description("ssh into the machine; what follows goes to ssh")
    .option("-l, --user <name>", "as this user")
    .option("-i, --identity <file>", "with this key")
    .passThroughOptions()
    .allowUnknownOption()
    .action(async (id: string, args: string[], options) => (await machine()).ssh(id, args, options));
  json(xeno.command("rm <lease>").description("same as lease stop")).action(async (id: string, options) => (await lease()).leaseStop(id, options));
  xeno
    .command("logs <lease>")
    .description("a job's output")
    .option("-f, --follow", "and what comes")
    .action(async (id: string, options) => (await lease()).logs(id, options));
  json(
    xeno.command("events").description("what happened, durably").option("-f, --follow", "and what comes").option("--after <cursor>", "from there on"),
  ).action(async (options) => (await lease()).events(options));
  json(xeno.command("verify <lease-or-file>").description("check a receipt offline: each line proved, claimed or failed"))
    .option("--re-execute", "run the job again here: proves the result right or wrong")
    .option("--tamper", "change one byte first, to see which check fails")
    .action(async (id: string, options) => (await import("./verbs/verify.ts")).verify(id, options));
  json(xeno.command("dispute <lease>").description("have the market's referee run the job again; a wrong result costs its owner the pay and the locked stake"))
    .option("--budget <amount>", "at most this for the referee's run", "1.00")
    .action(async (id: string, options) => (await import("./verbs/dispute.ts")).dispute(id, options));
  json(xeno.command("receipt").description("receipts").command("show <lease-or-file>").option("--public", "exactly what outsiders see")).action(
    async (id: string, options) => (await import("./verbs/verify.ts")).receiptShow(id, options),
  );
  xeno
    .command("export <dir>")
    .description("everything the market knows of you")
    .action(async (dir: string) => (await lease()).exportAll(dir));

  // an owner's verbs
  json(
    data(
      xeno
        .command("serve")
        .description("offer this machine")
        .option("--enrol <token>", "join with a token from `xeno token create --server`")
        .option("--enroll <token>", "same")
        .option("--config <file>", "xenoserver.toml")
        .option("--check", "show what strangers could reach; list nothing")
        .option("--install", "write a hardened systemd unit"),
    ),
  ).action(async (options) => (await serve()).serve({ ...options, enrol: options.enrol ?? options.enroll }));
  const server = xeno.command("server").description("the xenoserver running here");
  json(data(server.command("status"))).action(async (options) => (await serve()).serverCommand("status", options));
  json(data(server.command("drain").description("take no new leases"))).action(async (options) => (await serve()).serverCommand("drain", options));
  json(data(server.command("stop").description("drain and end; guests of running leases first").option("--now", "end running leases at your cost"))).action(
    async (options) => (await serve()).serverCommand(options.now ? "stop-now" : "stop", options),
  );
  json(data(server.command("retire").description("drain, end, and leave the market"))).action(async (options) =>
    (await serve()).serverCommand("retire", options),
  );

  data(
    json(
      xeno
        .command("abuse")
        .description("complaints about what came from this machine")
        .command("trace <address>")
        .description("which lease was behind a connection to ADDRESS[:PORT]")
        .option("--at <time>", "when, as the complaint says it (ISO 8601)")
        .option("--from-port <port>", "of this machine, as the other side saw it"),
    ),
  ).action(async (address: string, options) => (await serve()).abuseTrace(address, options));

  // the operator's verbs
  const brokerVerb = json(
    data(
      xeno
        .command("broker")
        .description("run a market")
        .option("--host <address>", "listen on", "127.0.0.1")
        .option("--port <port>", "listen on", "7400")
        .option("--name <name>", "of a new market", "market.local"),
    ),
  ).action(async (options) => (await broker()).broker(options));
  data(brokerVerb.command("backup <file>")).action(async (file: string, options) => (await broker()).brokerBackup(file, options));
  data(brokerVerb.command("restore <file>").description("into an empty market; the log starts a new epoch")).action(async (file: string, options) =>
    (await broker()).brokerRestore(file, options),
  );
  json(data(brokerVerb.command("check").description("recompute books and log"))).action(async (options) => (await broker()).brokerCheck(options));
  json(data(brokerVerb.command("overview <url>"))).action(async (url: string, options) => (await broker()).brokerOverview(url, options));
  const operate = async () => ({ operate: (await wallet()).operate, folder: (await broker()).brokerFolder });
  data(brokerVerb.command("credit <party> <amount>").option("--reference <text>", "", ""))
    .addOption(new Option("--source <source>").choices(["operator", "card", "bank"]).default("operator"))
    .action(async (id: string, amount: string, options) => {
      const { parseAmount } = await import("./input/parse.ts");
      const { operate: act, folder } = await operate();
      await act(folder(options.data), "credit", {
        party: id,
        amountNanos: parseAmount(amount, "amount").toString(),
        source: options.source,
        reference: options.reference,
      });
    });
  data(brokerVerb.command("suspend <party>").requiredOption("--reason <text>").option("--lift", "let it back in")).action(async (id: string, options) => {
    const { operate: act, folder } = await operate();
    await act(folder(options.data), "suspension", { party: id, suspended: options.lift !== true, reason: options.reason });
  });
  data(brokerVerb.command("referee <server>").description("its results decide disputes").option("--remove", "no more")).action(
    async (server: string, options) => {
      const { operate: act, folder } = await operate();
      await act(folder(options.data), "referee", { server, active: options.remove !== true });
    },
  );
  data(brokerVerb.command("fee <basis-points>")).action(async (points: string, options) => {
    const { parseCount } = await import("./input/parse.ts");
    const { operate: act, folder } = await operate();
    await act(folder(options.data), "fee", { basisPoints: points === "0" ? 0 : parseCount(points, "fee", 5_000) });
  });

  data(brokerVerb.command("witness <name=key>").description("it may cosign checkpoints here").option("--remove", "no more")).action(
    async (text: string, options) => {
      const { parseWitness } = await import("./input/parse.ts");
      const { operate: act, folder } = await operate();
      await act(folder(options.data), "witness", { ...parseWitness(text), active: options.remove !== true });
    },
  );

  // everyone's
  xeno
    .command("witness <url>")
    .description("watch a broker's log and cosign what extends it; refuse a fork and keep the proof")
    .option("--name <name>", "of this witness, in its signatures", "witness")
    .option("--data <dir>", "where its key and memory live")
    .option("--every <duration>", "how often to look", "5s")
    .option("--once", "look once and end")
    .action(async (url: string, options) => (await import("./verbs/witness.ts")).witness(url, options));
  xeno
    .command("evidence [files...]")
    .description("checkpoints, receipts or documents that contradict each other, packed into one file that convicts whoever signed them")
    .option("--promises", "look up every promise that the broker gave this machine in its log")
    .option("--out <file>", "where it goes", "evidence.json")
    .action(async (files: string[], options) => (await import("./verbs/evidence.ts")).evidence(files, options));
  json(
    xeno
      .command("demo")
      .description("a whole market on this machine: list, rent, run, pay, verify")
      .option("--once", "end after the verified settlement")
      .option("--cheat <name>", "with an owner who cheats in this way, found and convicted; 'list' names them")
      .option("--data <dir>", "where it lives")
      .option("--port <port>", "of the broker"),
  ).action(async (options) => (await import("./verbs/demo.ts")).demo(options));
  json(xeno.command("doctor").description("what is wrong here, and what to do")).action(async (options) => (await import("./verbs/about.ts")).doctor(options));
  json(xeno.command("version").description("versions").option("--all", "of every part")).action(async (options) =>
    (await import("./verbs/about.ts")).version(options),
  );
  xeno
    .command("completion")
    .description('for bash: eval "$(xeno completion)"')
    .action(async () => (await import("./verbs/about.ts")).completion(xeno.commands.map((command) => command.name())));
  return xeno;
}

export async function main(argv: string[]): Promise<void> {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(); // whoever read our output has had enough
    throw error;
  });
  try {
    await program().parseAsync(argv, { from: "user" });
  } catch (error) {
    const code = (error as { code?: string }).code;
    if (code?.startsWith("commander.")) {
      process.exitCode = (error as { exitCode: number }).exitCode === 0 ? 0 : EXIT.xeno;
      return;
    }
    process.exitCode = reportError(error, argv.includes("--json"));
  }
  // links, pools and embedded programs are closed by their verbs; what a library keeps open must not keep a shell waiting
  setImmediate(() => process.exit());
}
