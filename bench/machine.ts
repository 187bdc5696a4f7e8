/**
 * A running machine's programs, files and ports through the market: beside its guest agent alone, and beside a port that QEMU itself
 * forwards, in the same guest. Where QEMU is missing it says so and measures nothing.
 */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { Duplex } from "node:stream";
import { openQemuHost } from "@xenoservers/guests";
import {
  GuestFiles,
  GuestProgram,
  VM_DRIVER,
  VM_OVERHEAD_MIB,
  buildVm,
  copyIn,
  copyOut,
  fileBlob,
  openSession,
  placeOrder,
} from "@xenoservers/sdk";
import { agentCopyIn, agentCopyOut } from "../packages/sdk/src/guest/agent-copy.ts";
import { agentExec } from "../packages/sdk/src/guest/agent-exec.ts";
import { innermostOf } from "../packages/guests/src/qemu/machine/box.ts";
import { startBareGuest } from "../test/vm/bare-guest.ts";
import { startMarket, until, wanted, type TestMarket } from "../test/process/market.ts";
import { busyboxLayer } from "./lib/busybox-layer.ts";
import { quantile, report, type Figure } from "./lib/report.ts";

const MIB = 1024 * 1024;
const MB = 1_000_000;
const MEMORY_MIB = 256;
const DISK_MIB = 512;
const PORT = 9_000;
/** Where a machine's namespace has that port (guests/src/qemu/machine/control.ts). */
const FORWARDED = 20_000 + PORT;
const STREAM_MIB = 32;
/** The agent is slow: it gets less. */
const AGENT_MIB = 4;
const ROUNDS = 3;
const EXECS = 10;
const SERVE = `while :; do dd if=/dev/zero bs=64k count=${STREAM_MIB * 16} 2>/dev/null | nc -l -p ${PORT}; done`;

type Session = ReturnType<typeof openSession>["session"];

async function timed(what: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await what();
  return performance.now() - begun;
}

/** The middle of each, taken in turns. */
async function inTurns(
  ours: () => Promise<unknown>,
  peers: () => Promise<unknown>,
  rounds: number,
): Promise<[ours: number, peers: number]> {
  const times: [number[], number[]] = [[], []];
  for (let i = 0; i < rounds; i++) {
    times[0].push(await timed(ours));
    times[1].push(await timed(peers));
  }
  return [quantile(times[0], 0.5), quantile(times[1], 0.5)];
}

async function leased(market: TestMarket, folder: string): Promise<ReturnType<typeof openSession>> {
  const layer = await busyboxLayer(folder);
  const spec = {
    ...({ machine: "pc", firmware: "bios", devices: "virtio", tpm: false, vcpu: 1, memoryMib: MEMORY_MIB, diskMib: DISK_MIB } as const),
    ...({ outputMibMax: 4, network: true, egress: "none", engine: null } as const),
    vm: {
      ...{ kind: "oci" as const, image: "0".repeat(64), layers: [{ digest: layer.digest, compression: "none" as const }] },
      ...{ args: ["sh", "-c", SERVE], env: [], workdir: "", user: "", hostname: "" },
    },
  };
  const job = buildVm({ ...spec, fuelMax: 10n ** 15n, mounts: [], blobs: [await fileBlob(layer.file)] });
  const resources = { vcpu: 1, memoryMib: MEMORY_MIB + VM_OVERHEAD_MIB.any, diskMib: DISK_MIB };
  const over = { resources, terms: "by-interval", fuelMax: 10n ** 15n, driver: VM_DRIVER, durationMsMax: 3_600_000 } as const;
  const bound = await placeOrder(market.customer, wanted(over), job.jobHash);
  const running = Promise.withResolvers<void>();
  const opened = openSession(market.customer, bound, job, { onState: (state) => state === "running" && running.resolve() });
  await running.promise;
  return opened;
}

async function program(session: Session, args: readonly string[]): Promise<void> {
  const started = await GuestProgram.start(session.machine, { args });
  started.stdout.resume();
  started.stderr.resume();
  await started.ended;
}

async function copies(session: Session, client: TestMarket["customer"], folder: string): Promise<Figure[]> {
  const [file, small, back] = [path.join(folder, "file"), path.join(folder, "small"), path.join(folder, "back")];
  await writeFile(small, randomBytes(AGENT_MIB * MIB));
  const withFiles = async (use: (files: GuestFiles) => Promise<unknown>): Promise<void> => {
    const files = await GuestFiles.open(session.machine);
    await use(files).finally(() => files.close());
  };
  // bytes of its own each time: nothing is gone on with
  const into = async (): Promise<void> => {
    await writeFile(file, randomBytes(STREAM_MIB * MIB));
    return withFiles((files) => copyIn(files, file, "/tmp/file", { owners: false }));
  };
  const rate = (mib: number, ms: number): number => (mib * MIB) / MB / (ms / 1_000);
  const [inMs, agentInMs] = await inTurns(into, () => agentCopyIn(session, small, "/tmp/by-agent"), ROUNDS);
  const [outMs, agentOutMs] = await inTurns(
    async () => {
      await rm(back, { force: true });
      await withFiles((files) => copyOut(files, "/tmp/file", back, { owners: false }));
    },
    () => agentCopyOut(session, "/tmp/by-agent", `${back}.small`),
    ROUNDS,
  );
  const [execMs, agentExecMs] = await inTurns(
    () => program(session, ["true"]),
    () => agentExec({ client, session }, ["true"]),
    EXECS,
  );
  const peer = (ms: number): { peer: string; peerValue: number } => ({
    peer: "the guest agent, four requests under way",
    peerValue: rate(AGENT_MIB, ms),
  });
  const each = (name: string, ms: number, agentMs: number): Figure[] => [
    report(`copy ${name} a machine`, rate(STREAM_MIB, ms), "MB/s", peer(agentMs), null),
    report(`20 MB ${name} a machine`, (COPY_MB * 1_000) / rate(STREAM_MIB, ms), "ms", null, 1_000),
  ];
  return [
    ...each("into", inMs, agentInMs),
    ...each("out of", outMs, agentOutMs),
    report("a program in a machine, asked for → its end", execMs, "ms", { peer: "the guest agent", peerValue: agentExecMs }, 1),
  ];
}

/**
 * Into a guest that has an agent and no Perl, emulated whatever this machine has: as they are, beside the agent's own writes in the same
 * guest. At QEMU and the agent alone: the way there is the same for both.
 */
async function withoutPerl(folder: string): Promise<Figure[]> {
  const guest = await startBareGuest(folder);
  const file = path.join(folder, "without-perl");
  const into = async (asIs: boolean): Promise<void> => {
    await writeFile(file, randomBytes(AGENT_MIB * MIB));
    const ask = async (
      _: string,
      { command, arguments: args }: { command: string; arguments: Record<string, unknown> },
    ): Promise<unknown> => (asIs ? guest.ask(command, args) : guest.agent.ask(command, args));
    await agentCopyIn({ machine: { ask } } as unknown as Session, file, "/tmp/file");
  };
  try {
    const [asIs, pieces] = await inTurns(
      () => into(true),
      () => into(false),
      ROUNDS,
    );
    const rate = (ms: number): number => (AGENT_MIB * MIB) / MB / (ms / 1_000);
    const peer = { peer: "the guest agent's own writes", peerValue: rate(pieces) };
    return [
      report("copy into a guest without Perl", rate(asIs), "MB/s", peer, null),
      report("5 MB into a guest without Perl", (BARE_COPY_MB * 1_000) / rate(asIs), "ms", null, 1_000),
    ];
  } finally {
    await guest.close();
  }
}

/** What a guest with an agent alone is to take in a second. */
const BARE_COPY_MB = 5;

/** What an image of ours is to take and give in a second. */
const COPY_MB = 20;

/** The process of that market's one machine. */
async function machinePid(folder: string): Promise<number> {
  for (const pid of await readdir("/proc")) {
    const words = /^\d+$/.test(pid) ? await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "") : "";
    if (words.startsWith("unshare") && words.includes(`${folder}/`) && words.includes("/vm/machines/")) return Number(pid);
  }
  throw new Error("there is no machine");
}

/** Reads a port's bytes to their end. */
function drained(session: Session): Promise<void> {
  return new Promise((resolve, reject) => {
    let bytes = 0;
    const wire = new Duplex({
      read: () => {},
      write(part: Uint8Array, _, done) {
        bytes += part.length;
        done();
      },
    });
    wire.once("error", reject).once("finish", () => {
      wire.push(null); // the guest's program waits for the other half's end, too
      if (bytes === STREAM_MIB * MIB) resolve();
      else reject(new Error(`only ${bytes} bytes came`));
    });
    void session.machine.open(PORT, wire);
  });
}

/** How long it took the first time that the guest listened: it serves one after the other, and begins anew in between. */
async function served(what: () => Promise<unknown>): Promise<number> {
  for (;;) {
    const took = await timed(what).catch(() => null);
    if (took !== null) return took;
  }
}

async function ports(session: Session, market: TestMarket): Promise<Figure> {
  await until(() =>
    drained(session).then(
      () => true,
      () => false,
    ),
  ); // QEMU has the port by now
  const inside = await innermostOf(await machinePid(market.folder));
  const direct = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const read = `exec 3<>/dev/tcp/127.0.0.1/${FORWARDED}; test "$(head -c ${STREAM_MIB * MIB} <&3 | wc -c)" = ${STREAM_MIB * MIB}`;
      const child = spawn("nsenter", ["--target", String(inside), "--net", "bash", "-c", read], { stdio: "inherit" });
      child.once("exit", (code) => (code === 0 ? resolve() : reject(new Error("QEMU's own port gave less"))));
    });
  const times: [ours: number[], qemus: number[]] = [[], []];
  for (let i = 0; i < ROUNDS; i++) {
    times[0].push(await served(() => drained(session)));
    times[1].push(await served(direct));
  }
  const [ours, qemus] = times.map((each) => quantile(each, 0.5)) as [number, number];
  return report(`${STREAM_MIB} MiB from a machine's port`, ours, "ms", { peer: "QEMU's own hostfwd", peerValue: qemus }, 2);
}

export async function machine(): Promise<Figure[]> {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-machine-bench-"));
  const state = await openQemuHost(path.join(folder, "cache"));
  if (!state.ok || !state.host.stock) {
    console.error(`SKIPPED: no machines can be measured here: ${state.ok ? state.host.stockWhy : state.why}`);
    return [];
  }
  const bare = await withoutPerl(folder);
  const market = await startMarket({}, "[vm]\nsnapshots = 0\n");
  try {
    await until(async () =>
      (await market.customer.read("offers", { query: { driver: "qemu" } })).offers.some(({ vmScore }) => vmScore > 0),
    );
    const { session, close } = await leased(market, folder);
    const figures = [...bare, ...(await copies(session, market.customer, folder)), await ports(session, market)];
    await market.customer.act("stop", { lease: session.lease, party: market.customer.identity.party, reason: "measured" });
    await session.settled();
    close();
    return figures;
  } finally {
    await market.close();
    await rm(folder, { recursive: true, force: true });
  }
}
