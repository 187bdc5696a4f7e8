/** Of leases and what came of them: each by its id. What each takes is loaded when it is used. */
import { group, verb, type Verb } from "../input/verb.ts";

const leaseTakes = () => import("../input/verbs/lease.ts");
const machineTakes = () => import("../input/verbs/machine.ts");
const proofTakes = () => import("../input/verbs/proof.ts");

const OF_A_LEASE: readonly Verb[] = [
  verb(
    "show",
    "where it stands",
    async () => (await leaseTakes()).leaseShowInput,
    async (given) => (await import("../verbs/lease-show.ts")).leaseShow(given),
  ),
  verb(
    "result",
    "what it came to: output and files, wherever they lie",
    async () => (await leaseTakes()).resultInput,
    async (given) => (await import("../verbs/lease-result.ts")).leaseResult(given),
  ),
  verb(
    "stop",
    "end it; what it wrote is kept",
    async () => (await leaseTakes()).leaseInput,
    async (given) => (await import("../verbs/lease-stop.ts")).leaseStop(given),
  ),
  verb(
    "extend",
    "let it run longer",
    async () => (await leaseTakes()).extendInput,
    async (given) => (await import("../verbs/lease-extend.ts")).leaseExtend(given),
  ),
  verb(
    "object",
    "to a settlement, inside its window: a deposit, and the operator rules",
    async () => (await leaseTakes()).objectInput,
    async (given) => (await import("../verbs/lease-object.ts")).leaseObject(given),
  ),
  verb(
    "appeal",
    "against a verdict on a lease of your xenoserver: a second referee is drawn",
    async () => (await leaseTakes()).appealInput,
    async (given) => (await import("../verbs/lease-appeal.ts")).leaseAppeal(given),
  ),
  verb(
    "pause",
    "the machine stands still; it stays reserved and is paid for",
    async () => (await leaseTakes()).leaseInput,
    async (given) => (await import("../verbs/lease-request.ts")).leaseRequest(given, "pause"),
  ),
  verb(
    "resume",
    "",
    async () => (await leaseTakes()).leaseInput,
    async (given) => (await import("../verbs/lease-request.ts")).leaseRequest(given, "resume"),
  ),
  verb(
    "reboot",
    "as by the reset button",
    async () => (await leaseTakes()).leaseInput,
    async (given) => (await import("../verbs/lease-request.ts")).leaseRequest(given, "reboot"),
  ),
  verb(
    "snapshot",
    "keep the machine's memory and disk on its server; yours alone",
    async () => (await leaseTakes()).leaseInput,
    async (given) => (await import("../verbs/lease-request.ts")).leaseSnapshot(given),
  ),
  verb(
    "fork",
    "so many new leases on the same server that go on from where this machine is",
    async () => (await machineTakes()).forkInput,
    async (given) => (await import("../verbs/lease-fork.ts")).leaseFork(given),
  ),
];

export const LEASES: readonly Verb[] = [
  group("lease", "one lease", OF_A_LEASE),
  verb(
    "console",
    "the machine's serial console; Ctrl-] leaves it",
    async () => (await machineTakes()).consoleInput,
    async (given) => (await import("../verbs/console.ts")).consoleOf(given),
  ),
  verb(
    "exec",
    "run a program in the machine: its streams, its exit code, with -t a terminal",
    async () => (await machineTakes()).execInput,
    async (given) => (await import("../verbs/exec.ts")).execIn(given),
    {
      passThrough: true,
    },
  ),
  verb(
    "cp",
    "copy files and folders: LEASE:/path here, or here LEASE:/path; - is a tar archive on stdin or stdout",
    async () => (await machineTakes()).copyInput,
    async (given) => (await import("../verbs/cp.ts")).copy(given),
  ),
  verb(
    "forward",
    "LOCAL:GUEST: a port of this machine (0: any that is free) that leads to one of the guest's; stdio:GUEST for stdin and stdout",
    async () => (await machineTakes()).forwardInput,
    async (given) => (await import("../verbs/forward.ts")).forward(given),
  ),
  verb(
    "screen",
    "the machine's screen: a port of this machine for VNC viewers, and one started where there is one; or a picture",
    async () => (await machineTakes()).screenInput,
    async (given) => (await import("../verbs/screen.ts")).screen(given),
  ),
  verb(
    "ssh",
    "ssh into the machine; what follows, or follows --, goes to ssh",
    async () => (await machineTakes()).sshInput,
    async (given) => (await import("../verbs/ssh.ts")).ssh(given),
    {
      passThrough: true,
      unknown: true,
      ordered: async () => (await import("../machine/ssh-words.ts")).machineFirst,
    },
  ),
  verb(
    "rm",
    "same as lease stop",
    async () => (await leaseTakes()).leaseInput,
    async (given) => (await import("../verbs/lease-stop.ts")).leaseStop(given),
  ),
  verb(
    "verify",
    "check a receipt offline: each line proved, claimed or failed",
    async () => (await proofTakes()).verifyInput,
    async (given) => (await import("../verbs/verify.ts")).verify(given),
  ),
  verb(
    "dispute",
    "have a referee that is drawn run the job again; a wrong result costs its owner the pay and the locked stake",
    async () => (await leaseTakes()).disputeInput,
    async (given) => (await import("../verbs/dispute.ts")).dispute(given),
  ),
  verb(
    "audit",
    "have the referee run what the log drew of your results, of these leases or of all",
    async () => (await leaseTakes()).auditInput,
    async (given) => (await import("../verbs/audit.ts")).audit(given),
  ),
  group("receipt", "receipts", [
    verb(
      "show",
      "what is in one",
      async () => (await proofTakes()).receiptShowInput,
      async (given) => (await import("../verbs/receipt-show.ts")).receiptShow(given),
    ),
  ]),
];
