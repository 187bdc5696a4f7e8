/** A running virtual machine from its customer's side: console, exec, cp, forward, ssh, and the lease's own buttons. All of it inside the lease's channel. */
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { Duplex } from "node:stream";
import { isLive } from "@xenoservers/market";
import { LeaseSession, RefusedError, checkBound, fetchBound, openLink, signOrder, type BoundOrder, type BuiltVm, type MarketClient } from "@xenoservers/sdk";
import { canonicalBytes, toHex, vmJobHashOf, zVmSpec, type VmSpec } from "@xenoservers/protocol";
import type { VmRequest } from "@xenoservers/protocol/channel";
import { z } from "zod";
import { openClient } from "../input/home.ts";
import { parseAmount, parseCount, parseDurationMs } from "../input/parse.ts";
import { UserError, countOf, print, printJson, say, shortId } from "../output/ui.ts";

interface Json {
  json?: boolean;
}

interface Held {
  client: MarketClient;
  bound: BoundOrder;
  session: LeaseSession;
  close(): void;
}

/** Beyond any output: nothing of it is sent. */
const NO_OUTPUT = 64 * 1024 ** 3;

/** A session with a machine that runs; output is followed only where it is wanted. Throws UserError where none runs. */
async function hold(id: string, onOutput: ((bytes: Uint8Array) => void) | null): Promise<Held> {
  const { client } = await openClient();
  const lease = await client.read("lease", { params: { id } });
  if (!isLive(lease.state)) throw new UserError(`lease ${shortId(lease.id)} has ended`);
  const bound = await fetchBound(client, lease.id);
  if (bound.order.payload.driver !== "qemu") throw new UserError(`lease ${shortId(lease.id)} runs a WebAssembly job, not a machine`);
  let session: LeaseSession | null = null;
  const link = openLink(client, { onUp: () => session?.hint(), onEvent: (event) => session?.hint(event) });
  const from = onOutput ? undefined : { stdout: NO_OUTPUT, stderr: NO_OUTPUT };
  session = new LeaseSession(client, bound, null, onOutput ? { onOutput: (_, bytes) => onOutput(bytes) } : {}, link, from);
  return {
    client,
    bound,
    session,
    close() {
      session.close();
      link.stop();
    },
  };
}

const DONE: Record<Exclude<VmRequest, "agent" | "snapshot">, string> = {
  pause: "it stands still, stays reserved and is paid for; go on with: xeno lease resume",
  resume: "it goes on",
  reboot: "it starts again",
};

const zSnapshot = z.object({ snapshot: z.string().regex(/^[0-9a-f]{64}$/), spec: zVmSpec, until: z.number() });

export async function leaseRequest(id: string, what: Exclude<VmRequest, "agent">, { json }: Json): Promise<void> {
  const held = await hold(id, null);
  try {
    const answer = await held.session.machine.ask(what);
    if (what === "snapshot") {
      const { snapshot, until } = zSnapshot.parse(answer);
      if (json) return printJson({ lease: held.bound.po.id, snapshot, until });
      print(snapshot);
      return say(`its memory and disk are kept on the server until ${new Date(until).toISOString().slice(0, 16)}Z`);
    }
    if (json) printJson({ lease: held.bound.po.id, done: what });
    else print(DONE[what]);
  } finally {
    held.close();
  }
}

const READY_MS = 60_000;

/** One snapshot, and as many leases that begin with it on the same server: an order each, under the market's rules like any other. */
export async function leaseFork(id: string, count: string, { budget, maxTime, json }: Json & { budget: string; maxTime: string }): Promise<void> {
  const forks = parseCount(count, "the number of forks", 64);
  const held = await hold(id, null);
  try {
    const { snapshot, spec } = zSnapshot.parse(await held.session.machine.ask("snapshot"));
    const { payload: order } = held.bound.order;
    const wanted = {
      ...{ resources: order.resources, terms: order.terms, assurance: order.assurance, on: order.on, maxPriceNanosPerHour: null, label: order.label },
      conditions: [{ key: "server", op: "=" as const, value: held.bound.po.payload.server }],
      durationMsMax: parseDurationMs(maxTime, "--max-time"),
      fuelMax: BigInt(order.fuelMax),
      budgetNanos: parseAmount(budget, "--budget"),
      vm: { accel: order.accel, egress: order.egress, egressMibMax: order.egressMibMax },
    };
    const leases: string[] = [];
    for (let i = 0; i < forks; i++) {
      const job = forkOf(held.client, spec, snapshot, order.fuelMax);
      const signed = signOrder(held.client, wanted, job.jobHash);
      const answer = await held.client.submit(signed.envelope);
      if (!answer.ok)
        throw leases.length === 0
          ? new RefusedError(answer)
          : new UserError(`${countOf(leases.length, "fork")} of ${forks} run (${leases.map(shortId).join(", ")}); then: ${answer.code}`);
      const bound = checkBound(held.client, signed.id, answer.answer["purchaseOrder"]);
      await untilRunning(held.client, bound, job);
      leases.push(bound.po.id);
      if (!json) print(bound.po.id);
    }
    if (json) printJson({ snapshot, leases });
    else say(`each goes on by itself; see them with: xeno ps`);
  } finally {
    held.close();
  }
}

function forkOf(client: MarketClient, of: VmSpec, snapshot: string, fuelMax: string): BuiltVm {
  const inputs = { entries: [], mounts: [] };
  const spec: VmSpec = {
    ...{ ...of, vm: { kind: "snapshot", snapshot }, fuelMax, seed: toHex(client.crypto.randomBytes(32)) },
    inputs: toHex(client.crypto.sha256(canonicalBytes(inputs))),
  };
  return { kind: "vm", spec, jobHash: vmJobHashOf(client.crypto, spec), inputs, blobs: new Map(), sizes: [] };
}

async function untilRunning(client: MarketClient, bound: BoundOrder, job: BuiltVm): Promise<void> {
  const running = Promise.withResolvers<void>();
  let session: LeaseSession | null = null;
  const link = openLink(client, { onUp: () => session?.hint(), onEvent: (event) => session?.hint(event) });
  session = new LeaseSession(client, bound, job, { onState: (state) => void ((state === "running" || state === "ended") && running.resolve()) }, link);
  const timer = setTimeout(() => running.reject(new UserError(`lease ${shortId(bound.po.id)} did not start in time`)), READY_MS);
  session.settled().then(
    ({ end }) => (end?.exitCode === null ? running.reject(new UserError(`lease ${shortId(bound.po.id)} ended: ${end.reason}`)) : running.resolve()),
    () => {}, // closed: it runs
  );
  try {
    await running.promise;
  } finally {
    clearTimeout(timer);
    session.close();
    link.stop();
  }
}

const LEAVE = 0x1d; // Ctrl-]

/** Attached to the serial line: what is typed goes in, what comes out is shown; from here on, or from the start where nobody types. */
export async function consoleOf(id: string): Promise<void> {
  const held = await hold(id, (bytes) => void process.stdout.write(bytes));
  const { stdin } = process;
  const left = Promise.withResolvers<string>();
  say(`console of ${shortId(held.bound.po.id)}; leave it with Ctrl-]`);
  if (stdin.isTTY) stdin.setRawMode(true);
  stdin.on("data", (bytes: Buffer) => {
    const at = bytes.indexOf(LEAVE);
    const typed = at < 0 ? bytes : bytes.subarray(0, at);
    if (typed.length > 0) void held.session.machine.input(typed).catch((error: Error) => left.resolve(error.message));
    if (at >= 0) left.resolve("left; the machine runs on");
  });
  stdin.once("end", () => stdin.isTTY && left.resolve("left; the machine runs on"));
  stdin.resume();
  const why = await Promise.race([left.promise, held.session.settled().then(({ end }) => `the lease has ended: ${end?.reason ?? "unknown"}`)]);
  if (stdin.isTTY) stdin.setRawMode(false);
  stdin.pause();
  held.close();
  say(`\r\n${why}`);
}

const agent = (session: LeaseSession, command: string, args: Record<string, unknown>): Promise<unknown> =>
  session.machine.ask("agent", { command, arguments: args });

const POLL_MS = 100;
const zStatus = z.object({
  exited: z.boolean(),
  exitcode: z.int().optional(),
  signal: z.int().optional(),
  "out-data": z.string().optional(),
  "err-data": z.string().optional(),
  "out-truncated": z.boolean().optional(),
});

export async function execIn(id: string, words: string[], { json }: Json): Promise<void> {
  const [program, ...args] = words[0] === "--" ? words.slice(1) : words;
  const held = await hold(id, null);
  try {
    const { pid } = z.object({ pid: z.int() }).parse(await agent(held.session, "guest-exec", { path: program, arg: args, "capture-output": true }));
    for (;;) {
      const status = zStatus.parse(await agent(held.session, "guest-exec-status", { pid }));
      if (!status.exited) {
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
        continue;
      }
      const [stdout, stderr] = [status["out-data"], status["err-data"]].map((text) => Buffer.from(text ?? "", "base64"));
      const exitCode = status.exitcode ?? 128 + (status.signal ?? 0);
      if (json) printJson({ exitCode, stdout: stdout!.toString(), stderr: stderr!.toString() });
      else {
        process.stdout.write(stdout!);
        process.stderr.write(stderr!);
        if (status["out-truncated"]) say("(output cut at 16 MiB, what the guest agent keeps)");
      }
      process.exitCode = exitCode & 255;
      return;
    }
  } finally {
    held.close();
  }
}

const COPY_BYTES = 512 * 1024;
const zHandle = z.int();
const zRead = z.object({ "buf-b64": z.string(), eof: z.boolean(), count: z.int() });

function place(text: string): { lease: string; file: string } | null {
  const match = /^([0-9a-f]{4,64}):(\/.+)$/.exec(text);
  return match ? { lease: match[1]!, file: match[2]! } : null;
}

export async function copy(from: string, to: string): Promise<void> {
  const [there, here] = [place(from), place(to)];
  if ((there === null) === (here === null)) throw new UserError("one of the two must be LEASE:/path");
  if (there) return copyOut(there.lease, there.file, to);
  return copyIn(here!.lease, from, here!.file);
}

async function withFile<T>(id: string, file: string, mode: "rb" | "wb", use: (held: Held, handle: number) => Promise<T>): Promise<T> {
  const held = await hold(id, null);
  try {
    const handle = zHandle.parse(await agent(held.session, "guest-file-open", { path: file, mode }));
    try {
      return await use(held, handle);
    } finally {
      await agent(held.session, "guest-file-close", { handle });
    }
  } finally {
    held.close();
  }
}

function copyOut(id: string, file: string, to: string): Promise<void> {
  return withFile(id, file, "rb", async ({ session }, handle) => {
    const target = to.endsWith("/") ? path.join(to, path.basename(file)) : to;
    const out = await open(target, "w");
    try {
      for (let eof = false; !eof;) {
        const part = zRead.parse(await agent(session, "guest-file-read", { handle, count: COPY_BYTES }));
        await out.write(Buffer.from(part["buf-b64"], "base64"));
        ({ eof } = part);
      }
    } finally {
      await out.close();
    }
  });
}

async function copyIn(id: string, from: string, file: string): Promise<void> {
  const source = await open(from, "r").catch(() => {
    throw new UserError(`there is no file ${from}`);
  });
  try {
    const target = file.endsWith("/") ? `${file}${path.basename(from)}` : file;
    await withFile(id, target, "wb", async ({ session }, handle) => {
      const buffer = Buffer.alloc(COPY_BYTES);
      for (let offset = 0; ;) {
        const { bytesRead } = await source.read(buffer, 0, COPY_BYTES, offset);
        if (bytesRead === 0) return;
        await agent(session, "guest-file-write", { handle, "buf-b64": buffer.subarray(0, bytesRead).toString("base64") });
        offset += bytesRead;
      }
    });
  } finally {
    await source.close();
  }
}

const parsePort = (text: string): number => parseCount(text, "port", 65_535);

export async function forward(id: string, ports: string): Promise<void> {
  const [local, guest] = ports.split(":");
  if (local === undefined || guest === undefined) throw new UserError(`'${ports}' must be LOCAL:GUEST, such as 2222:22`);
  const port = parsePort(guest);
  const held = await hold(id, null);
  if (local === "stdio") {
    const stream = Duplex.from({ readable: process.stdin, writable: process.stdout });
    const closed = new Promise<void>((resolve) => stream.once("close", resolve));
    stream.on("error", (error) => say(error.message));
    await held.session.machine.open(port, stream);
    await closed;
    return held.close();
  }
  const server = createServer((socket) => {
    socket.on("error", (error) => say(error.message));
    void held.session.machine.open(port, socket).catch((error: Error) => socket.destroy(error));
  });
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen({ host: "127.0.0.1", port: parsePort(local) }, resolve));
  say(`127.0.0.1:${local} leads to port ${port} of ${shortId(held.bound.po.id)}; end with Ctrl-C`);
  await Promise.race([held.session.settled(), new Promise((resolve) => process.once("SIGINT", resolve))]);
  server.close();
  held.close();
}

/** The channel proves which machine it is: ssh need not know its key beforehand. */
export async function ssh(id: string, args: string[], { user, identity }: { user?: string; identity?: string }): Promise<void> {
  const { client } = await openClient();
  const lease = await client.read("lease", { params: { id } });
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-ssh-"));
  const script = path.join(folder, "proxy");
  const words = [process.execPath, path.resolve(import.meta.dirname, "../../bin/xeno.js"), "forward", lease.id, "stdio:22"];
  await writeFile(script, `#!/bin/sh\nexec ${words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ")}\n`, { mode: 0o700 });
  try {
    const options = [
      "-o",
      `ProxyCommand=${script}`,
      "-o",
      "StrictHostKeyChecking=no",
      "-o",
      "UserKnownHostsFile=/dev/null",
      "-o",
      "LogLevel=ERROR",
      "-o",
      "ConnectTimeout=15",
    ];
    const more = [...(user === undefined ? [] : ["-l", user]), ...(identity === undefined ? [] : ["-i", identity])];
    const child = spawn("ssh", [...options, ...more, `xeno-${shortId(lease.id)}`, ...args], { stdio: "inherit" });
    process.exitCode = await new Promise<number>((resolve, reject) => {
      child.once("error", () => reject(new UserError("ssh is not installed here")));
      child.once("exit", (code) => resolve(code ?? 255));
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
