/** Of operators: a market, its data, and what its operator alone may say. What each takes is loaded when it is used. */
import { verb, type Verb } from "../input/verb.ts";

const operatorTakes = () => import("../input/verbs/operator.ts");

const OF_A_BROKER: readonly Verb[] = [
  verb(
    "reread",
    "xenocorp.toml again, as SIGHUP does",
    async () => (await operatorTakes()).brokerRereadInput,
    async (given) => (await import("../verbs/broker-reread.ts")).brokerReread(given),
  ),
  verb(
    "backup",
    "",
    async () => (await operatorTakes()).brokerBackupInput,
    async (given) => (await import("../verbs/broker-data.ts")).brokerBackup(given),
  ),
  verb(
    "restore",
    "into an empty market; the log starts a new epoch",
    async () => (await operatorTakes()).brokerRestoreInput,
    async (given) => (await import("../verbs/broker-data.ts")).brokerRestore(given),
  ),
  verb(
    "check",
    "recompute books and log",
    async () => (await operatorTakes()).brokerCheckInput,
    async (given) => (await import("../verbs/broker-data.ts")).brokerCheck(given),
  ),
  verb(
    "overview",
    "",
    async () => (await operatorTakes()).brokerOverviewInput,
    async (given) => (await import("../verbs/broker-overview.ts")).brokerOverview(given),
  ),
  verb(
    "credit",
    "",
    async () => (await operatorTakes()).creditInput,
    async (given) => (await import("../verbs/broker-acts.ts")).brokerCredit(given),
  ),
  verb(
    "suspend",
    "",
    async () => (await operatorTakes()).suspendInput,
    async (given) => (await import("../verbs/broker-acts.ts")).brokerSuspend(given),
  ),
  verb(
    "referee",
    "its results decide disputes",
    async () => (await operatorTakes()).refereeInput,
    async (given) => (await import("../verbs/broker-acts.ts")).brokerReferee(given),
  ),
  verb(
    "probe",
    "try servers by orders that look like any other, whose answers are known here",
    async () => (await operatorTakes()).brokerProbeInput,
    async (given) => (await import("../verbs/broker-probe.ts")).brokerProbe(given),
  ),
  verb(
    "fee",
    "announce what the broker keeps: 2.5%",
    async () => (await operatorTakes()).feeInput,
    async (given) => (await import("../verbs/broker-fee.ts")).brokerFee(given),
  ),
  verb(
    "witness",
    "NAME=KEY may cosign checkpoints here",
    async () => (await operatorTakes()).brokerWitnessInput,
    async (given) => (await import("../verbs/broker-acts.ts")).brokerWitness(given),
  ),
];

export const OPERATORS: readonly Verb[] = [
  verb(
    "broker",
    "run a market",
    async () => (await operatorTakes()).brokerInput,
    async (given) => (await import("../verbs/broker.ts")).broker(given),
    {
      sub: OF_A_BROKER,
    },
  ),
];
