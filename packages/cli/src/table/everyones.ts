/** Of everyone: witnesses, agents, and about this program. What each takes is loaded when it is used. */
import { verb, type Verb } from "../input/verb.ts";

const aboutTakes = () => import("../input/verbs/about.ts");
const mcpTakes = () => import("../input/verbs/mcp.ts");
const proofTakes = () => import("../input/verbs/proof.ts");

export const EVERYONES: readonly Verb[] = [
  verb(
    "witness",
    "watch a broker's log and cosign what extends it; refuse a fork and keep the proof",
    async () => (await proofTakes()).witnessInput,
    async (given) => (await import("../verbs/witness.ts")).witness(given),
  ),
  verb(
    "evidence",
    "checkpoints, receipts or documents that contradict each other, packed into one file that convicts whoever signed them",
    async () => (await proofTakes()).evidenceInput,
    async (given) => (await import("../verbs/evidence.ts")).evidence(given),
  ),
  verb(
    "mcp",
    "serve an agent on stdin and stdout (Model Context Protocol), which spends by a capped token in XENO_TOKEN",
    async () => (await mcpTakes()).mcpInput,
    async (given) => (await import("../verbs/mcp.ts")).mcp(given),
  ),
  verb(
    "demo",
    "a whole market on this machine: list, rent, run, pay, verify",
    async () => (await aboutTakes()).demoInput,
    async (given) => (await import("../verbs/demo.ts")).demo(given),
  ),
  verb(
    "doctor",
    "what is wrong here, and what to do",
    async () => (await aboutTakes()).doctorInput,
    async (given) => (await import("../verbs/doctor.ts")).doctor(given),
  ),
  verb(
    "version",
    "versions",
    async () => (await aboutTakes()).versionInput,
    async (given) => (await import("../verbs/version.ts")).version(given),
  ),
  verb(
    "completion",
    'for bash, zsh or fish: eval "$(xeno completion bash)"',
    async () => (await aboutTakes()).completionInput,
    async (given, whole) => (await import("../verbs/completion.ts")).completion(given, whole),
  ),
];
