/** Every way in which a lease can go, told by honest parties. */
import type { EndReason } from "@xenoservers/market";
import type { Payload } from "@xenoservers/protocol";
import type { KeyName } from "./cast.ts";
import { LeaseScript, NO_BYTES, leaseIn, type Deal } from "./lease-script.ts";
import { moved } from "./moved.ts";
import type { Said } from "./script.ts";

type Stated = Partial<Said<"result">>;

export interface Plot {
  deal: Deal;
  /** Where the server states something else than the job comes to. */
  lie?: Stated;
  tell(script: LeaseScript): LeaseScript;
}

const BY_RESULT: Deal = { order: { terms: "on-result" } };
const BY_TIME: Deal = { order: { terms: "by-interval" } };
const MACHINE: Deal = { order: { terms: "by-interval", driver: "qemu", egress: "public", egressMibMax: 64 } };
const REPLICATED: Deal = { order: { terms: "on-result", assurance: "replicated", replicas: 2 }, slot: 1 };
const STAKED: Deal = { order: { terms: "on-result", assurance: "replicated" } };
const TRUSTED: Deal = { ...STAKED, auditedBefore: 10_000 };
const withFee = (deal: Deal, fee: number): Deal => ({ ...deal, fee });

const NOTHING: Stated = { usedMs: 0, fuel: "0", exitCode: null, memoryHash: null, ...NO_BYTES };
const OUTSIDE: Stated = { exitCode: null, memoryHash: null };
const CHEAP: Payload<"offer">["price"] = {
  ...{ vcpuNanosPerSecond: "1", memoryGibNanosPerSecond: "1", diskGibNanosPerSecond: "1", gigaFuelNanos: "100", egressGibNanos: "0" },
};

const STEP = "1000000000";
const MINUTE = 60_000;
/** Longer than any silence that a lease survives. */
const LONG = 90_000;
const HOUR = 3_600_000;

/** Told from the beginning to a moment after the opening. */
const begun = (script: LeaseScript): LeaseScript => script.known().bound().opened().after(2_500);
const finished = (script: LeaseScript, stated: Stated = {}): LeaseScript => begun(script).result(stated).delivered().over();
const rotated = (script: LeaseScript, by: "customer" | "recovery"): LeaseScript =>
  script.known().rotated(by).bound().opened().after(2_500).result().delivered().over();

function revoked(script: LeaseScript): LeaseScript {
  const { customer: party } = script.cast;
  script.say("customer", "key-revoke", () => ({ party, key: script.cast.key("ci"), reason: "lost" }), { label: "revoked" });
  return script;
}

function objected(script: LeaseScript, by: KeyName, expectedDueNanos: string): LeaseScript {
  const party = by === "owner" ? script.cast.owner : script.cast.customer;
  finished(script)
    .after(1_000)
    .say(by, "objection", (play) => ({ lease: leaseIn(play), party, expectedDueNanos, reason: "wrong" }));
  return script;
}

function ruled(script: LeaseScript, ownerNanos: string): LeaseScript {
  script.after(HOUR).say("operator", "ruling", (play) => ({ lease: leaseIn(play), ownerNanos, reason: "half" }));
  return script;
}

const DELIVERED: Readonly<Record<string, Plot>> = {
  "completed, delivered to its customer": { deal: withFee(BY_RESULT, 500), tell: finished },
  "completed, delivered later": { deal: BY_RESULT, tell: (s) => begun(s).result().after(20_000).delivered("ci").over() },
  "completed, sealed with the broker": {
    deal: withFee(BY_RESULT, 100),
    tell: (s) => begun(s).result().after(5_000).delivered("receipts").over(),
  },
  "completed without bytes": { deal: BY_RESULT, tell: (s) => begun(s).result(NO_BYTES).over() },
  "completed, never delivered": { deal: BY_RESULT, tell: (s) => begun(s).result().after(MINUTE).over("not-delivered") },
  "a segment for a referee": {
    deal: { order: { terms: "on-result", segment: true } },
    tell: (s) => finished(s, { ...OUTSIDE, reason: "segment-end", stateRoot: s.stateRoot(2) }),
  },
  "a machine that can be proved": {
    deal: withFee({ order: { terms: "on-result", driver: "qemu", assurance: "deterministic-vm" } }, 500),
    tell: finished,
  },
  "on its second attempt": { deal: { ...BY_RESULT, attempt: 2 }, tell: finished },
  "ordered by a build machine": { deal: { ...BY_RESULT, orderBy: "ci" }, tell: finished },
  "ordered by a build machine, whose key was revoked later": {
    deal: { ...BY_RESULT, orderBy: "ci" },
    tell: (s) => revoked(finished(s).after(1_000)),
  },
  "ordered by a build machine, whose key was revoked meanwhile": {
    deal: { ...BY_RESULT, orderBy: "ci" },
    tell: (s) => revoked(begun(s)).after(1_000).result().delivered("customer").over(),
  },
  "ordered with a root key that replaced another": { deal: { ...BY_RESULT, orderBy: "customer-2" }, tell: (s) => rotated(s, "customer") },
  "ordered with a root key that the recovery key brought": {
    deal: { ...BY_RESULT, orderBy: "customer-2" },
    tell: (s) => rotated(s, "recovery"),
  },
  "extended in time, paid by result": { deal: BY_RESULT, tell: (s) => begun(s).extended(MINUTE).after(1_000).result().delivered().over() },
  "audited, its round not over yet": { deal: TRUSTED, tell: finished },
  "audited, its round over": { deal: TRUSTED, tell: (s) => finished(s).auditShown() },
  "of a newcomer, audited, its round over": { deal: STAKED, tell: (s) => begun(s).result(NO_BYTES).over().auditShown() },
  "a replica that showed what it had committed to": {
    deal: withFee(REPLICATED, 500),
    tell: (s) => begun(s).committed().shown().delivered().over(),
  },
};

const MEASURED: Readonly<Record<string, Plot>> = {
  "completed by interval": {
    deal: withFee(BY_TIME, 250),
    tell: (s) => begun(s).claimed(9_000).claimed(19_000).after(3_000).result({ usedMs: 21_000 }).over(),
  },
  "completed, its server lost its disk": {
    deal: BY_TIME,
    tell: (s) =>
      begun(s).claimed(9_000).claimed(9_500, 0, 1_700_000).claimed(19_000, 0, 1_700_000).after(1_000).result({ usedMs: 20_000 }).over(),
  },
  "a machine, stopped by its customer": {
    deal: withFee(MACHINE, 300),
    tell: (s) => {
      begun(s).claimed(8_000, 1_000).claimed(18_000, 5_000_000).stopped().after(500);
      return s.result({ ...OUTSIDE, reason: "customer-stop", usedMs: 21_000, egressBytes: 6_000_000 }).over();
    },
  },
  "a machine, moved to another server of its owner": {
    deal: { ...MACHINE, moves: true },
    tell: (s) => {
      moved(begun(s).claimed(9_000, 2_000)).claimed(17_000, 3_000).stopped().after(500);
      return s.result({ ...OUTSIDE, reason: "customer-stop", usedMs: 19_000, egressBytes: 3_000 }).over();
    },
  },
  "stopped by its customer just before it ended": {
    deal: BY_TIME,
    tell: (s) => begun(s).claimed(9_000).stopped().after(8_000).result({ usedMs: 18_500 }).over(),
  },
  "more fuel than there was time for": {
    deal: withFee(BY_RESULT, 500),
    tell: (s) => s.known().bound().opened().after(3).result({ fuel: "900000000000" }).delivered().over(),
  },
  "a machine that ended by itself": {
    deal: MACHINE,
    tell: (s) => begun(s).claimed(9_000, 2_000).after(500).result({ usedMs: 9_500, egressBytes: 2_000 }).over(),
  },
  "stopped by its owner": {
    deal: BY_TIME,
    tell: (s) =>
      begun(s)
        .claimed(9_000)
        .stopped("owner")
        .result({ ...OUTSIDE, reason: "owner-stop", usedMs: 10_000 })
        .over(),
  },
  "extended twice, to its longest time": {
    deal: { order: { terms: "by-interval", durationMsMax: 12_000 } },
    tell: (s) => {
      begun(s).claimed(9_000).extended(10_000).extended(5_000).claimed(19_000).after(9_000);
      return s.result({ ...OUTSIDE, reason: "time-limit", usedMs: 27_001 }).over();
    },
  },
  "a job, stopped by its customer": {
    deal: BY_RESULT,
    tell: (s) =>
      begun(s)
        .stopped("ci")
        .after(100)
        .result({ ...OUTSIDE, reason: "customer-stop", fuel: "3000000000" })
        .delivered()
        .over(),
  },
  "the broker was away, and it went on": {
    deal: BY_TIME,
    tell: (s) => begun(s).claimed(9_000).gap(LONG).claimed(19_000).after(500).result({ usedMs: 20_000 }).over(),
  },
  "accepted late, in a gap": {
    deal: BY_RESULT,
    tell: (s) => s.known().bound().gap(8_000).opened().after(2_500).result().delivered().over(),
  },
};

const UNPAID: Readonly<Record<string, Plot>> = {
  "its server failed": {
    deal: BY_RESULT,
    tell: (s) =>
      begun(s)
        .result({ ...NOTHING, reason: "server-failed" })
        .over(),
  },
  "its server failed after a while, by interval": {
    deal: BY_TIME,
    tell: (s) =>
      begun(s)
        .claimed(9_000)
        .result({ ...NOTHING, usedMs: 9_500, reason: "server-failed" })
        .over(),
  },
  "a replica whose host failed before": {
    deal: REPLICATED,
    tell: (s) =>
      begun(s)
        .result({ ...NOTHING, reason: "server-failed" })
        .over(),
  },
  "inputs that never came": {
    deal: withFee(BY_RESULT, 500),
    tell: (s) =>
      begun(s)
        .claimed(0)
        .claimed(0)
        .claimed(0)
        .claimed(0)
        .claimed(0)
        .claimed(0)
        .after(9_000)
        .result({ ...NOTHING, reason: "input-missing" })
        .over(),
  },
  "a job that could not be read": {
    deal: withFee(BY_RESULT, 500),
    tell: (s) =>
      begun(s)
        .result({ ...NOTHING, reason: "job-refused" })
        .over(),
  },
  "an image that could not be started": {
    deal: MACHINE,
    tell: (s) =>
      begun(s)
        .result({ ...NOTHING, reason: "image-refused" })
        .over(),
  },
};

const SILENT: Readonly<Record<string, Plot>> = {
  "stopped, and no result came, by interval": {
    deal: BY_TIME,
    tell: (s) => begun(s).claimed(9_000).stopped().after(30_000).over("customer-stop"),
  },
  "stopped, and no result came, on result": {
    deal: BY_RESULT,
    tell: (s) => begun(s).claimed(9_000).stopped().after(30_000).over("server-unreachable"),
  },
  "its server was not heard any more": {
    deal: BY_TIME,
    tell: (s) => begun(s).claimed(9_000).claimed(19_000).after(LONG).over("server-unreachable"),
  },
  "its server was not heard any more, on result": {
    deal: BY_RESULT,
    tell: (s) => begun(s).claimed(9_000).after(LONG).over("server-unreachable"),
  },
  "never started": { deal: BY_RESULT, tell: (s) => begun(s).after(LONG).over("not-started") },
  "never accepted": { deal: {}, tell: (s) => s.known().bound().after(5_000).over("not-accepted") },
  "stopped before it was opened": { deal: {}, tell: (s) => s.known().bound().stopped() },
  "a replica that did not show its result": { deal: REPLICATED, tell: (s) => begun(s).committed().after(30_000).over("not-revealed") },
  "the broker was away too long": {
    deal: BY_TIME,
    tell: (s) => begun(s).claimed(9_000).after(1_000).gap(LONG).after(LONG).over("broker-failed"),
  },
};

const DISPUTED: Readonly<Record<string, Plot>> = {
  "objected to, and ruled on": { deal: withFee(BY_RESULT, 500), tell: (s) => ruled(objected(s, "device", "1"), "7") },
  "objected to by its owner": { deal: BY_RESULT, tell: (s) => objected(s, "owner", "9000") },
  "doubted, and its server showed its states": { deal: STAKED, tell: (s) => finished(s).after(1_000).traced(STEP).traceOf(STEP, 4) },
  "doubted, its server has not answered": { deal: BY_RESULT, tell: (s) => finished(s).after(1_000).traced(STEP) },
  "a lie, shown whole": {
    deal: withFee(STAKED, 500),
    lie: { stdoutDigest: "77".repeat(32) },
    tell: (s) =>
      finished(s, { stdoutDigest: "77".repeat(32) })
        .after(1_000)
        .drawn()
        .ruling({}, null)
        .after(500)
        .disputed(null, false)
        .convicted(null),
  },
  "convicted by a referee that is wrong, and borne out by another": {
    deal: { ...withFee(STAKED, 500), referees: 2 },
    tell: (s) =>
      finished(s)
        .after(1_000)
        .drawn()
        .ruling({ stdoutDigest: "77".repeat(32) }, null)
        .after(500)
        .disputed(null)
        .convicted(null)
        .after(1_000)
        .appealed({}),
  },
  "a lie, shown by two referees": {
    deal: { ...STAKED, referees: 2 },
    lie: { stdoutDigest: "77".repeat(32) },
    tell: (s) =>
      finished(s, { stdoutDigest: "77".repeat(32) })
        .after(1_000)
        .drawn()
        .ruling({}, null)
        .after(500)
        .disputed(null)
        .convicted(null)
        .after(1_000)
        .appealed({}),
  },
  "a lie, shown by one segment": {
    deal: STAKED,
    lie: { memoryHash: "55".repeat(32) },
    tell: (s) => {
      finished(s, { memoryHash: "55".repeat(32) })
        .after(1_000)
        .traced(STEP)
        .traceOf(STEP, 4);
      return s
        .drawn()
        .ruling({ stateRoot: "99".repeat(32) }, 3, STEP)
        .after(500)
        .disputed(3)
        .convicted(3);
    },
  },
  "a lie about its end, shown by the last segment": {
    deal: STAKED,
    lie: { memoryHash: "55".repeat(32) },
    tell: (s) => {
      finished(s, { memoryHash: "55".repeat(32) })
        .after(1_000)
        .traced(STEP)
        .traceOf(STEP, 4);
      return s.drawn().ruling({}, 5, STEP).after(500).disputed(5, false).convicted(5);
    },
  },
};

/** Ends that a server states of a job that ran, beside those above. */
const STATED: Readonly<Record<string, [reason: EndReason & Payload<"result">["reason"], deal: Deal, stated: Stated]>> = {
  "its time was up": ["time-limit", { order: { terms: "on-result", durationMsMax: 2_000 } }, { ...OUTSIDE, usedMs: 2_001 }],
  "its fuel was up": ["fuel-limit", { order: { terms: "on-result", fuelMax: "6000000000" } }, { exitCode: null, fuel: "6000000000" }],
  "its budget was up": [
    "budget",
    { order: { terms: "on-result", budgetNanos: "900" }, offer: { price: CHEAP } },
    { exitCode: null, fuel: "9000000000" },
  ],
  "its memory was up": ["memory-limit", BY_RESULT, { exitCode: null }],
  "its output was up": ["output-limit", BY_TIME, { exitCode: null }],
  "it was no module": ["module-malformed", BY_RESULT, { exitCode: null, fuel: "0", usedMs: 1, memoryHash: null }],
  "its guest panicked": ["guest-panic", MACHINE, { ...OUTSIDE, egressBytes: 1_000 }],
  "its machine crashed": ["vm-crashed", MACHINE, OUTSIDE],
};

const told = ([name, [reason, deal, stated]]: [string, (typeof STATED)[string]]): [string, Plot] => [
  name,
  {
    deal,
    tell: (s) =>
      deal.order?.terms === "on-result"
        ? finished(s, { ...stated, reason })
        : begun(s)
            .result({ ...stated, reason })
            .over(),
  },
];

export const PLOTS: Readonly<Record<string, Plot>> = {
  ...{ ...DELIVERED, ...MEASURED, ...UNPAID, ...SILENT, ...DISPUTED },
  ...Object.fromEntries(Object.entries(STATED).map(told)),
};
