/**
 * A customer's program on the SDK against a real market: the cookbook of examples/sdk, each run as a newcomer would, what is refused before
 * it is signed, what a signal and a crash leave, and what a broker or server that means harm can do to it.
 */
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { getEventListeners } from "node:events";
import { mkdir, readFile, readdir } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { Market, formatCiToken, type RunInput } from "@xenoservers/sdk";
import { createSigner } from "@xenoservers/protocol/node";
import { startMarket, type TestMarket } from "../process/market.ts";
import { cases, thoroughly } from "../thorough.ts";
import { until } from "../until.ts";
import { customerOf, type Customer } from "./customer.ts";

const run = promisify(execFile);
const LINES_MAX = 40;

let market: TestMarket;
let customer: Customer;
beforeAll(async () => {
  market = await startMarket();
  customer = await customerOf(market, "cook");
  vi.stubEnv("XENO_HOME", customer.home);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await market.close();
});

/** What a program of the cookbook prints, whatever becomes of it. */
async function printed(name: string, { home }: Customer, ...args: string[]): Promise<string> {
  const env = { ...process.env, XENO_HOME: home, NODE_COMPILE_CACHE: path.join(market.folder, "compiled") };
  const { stdout } = await run(process.execPath, [`examples/sdk/${name}.ts`, ...args], { env }).catch(
    (error: Error & { signal?: string; stdout: string }) => {
      if (error.signal === "SIGKILL") return error;
      throw error;
    },
  );
  return stdout;
}

async function countOf(list: AsyncIterable<unknown>): Promise<number> {
  let count = 0;
  for await (const _ of list) count++;
  return count;
}

describe("the cookbook", () => {
  it("is of ten programs and more, each short", async () => {
    const names = await readdir("examples/sdk");
    expect(names.length).toBeGreaterThanOrEqual(10);
    for (const name of names) {
      const lines = (await readFile(`examples/sdk/${name}`, "utf8")).trimEnd().split("\n");
      expect(lines.length, name).toBeLessThanOrEqual(LINES_MAX);
    }
  });

  const programs: [string, RegExp][] = [
    ["hello", /^hello from wasi\nlease [0-9a-f]{12}: [1-9]\d* nanos\n$/],
    ["stop", /^begun\ngiven_up: withdrawn, money: withdrawn\n$/],
    ["map", /^1 4 9 16 25\n$/],
    ["quote", /^s_\w{10} \d+ nanos\/h \w+\nat most \d+ nanos are held, for 300 s or \d+ fuel\n$/],
    ["refusal", /^bad_input: before[^]*no_match: by customer's fault; money: none[^]*bad_input: before/],
    ["files", /^counts\.json \{"be": 2, "not": 1, "or": 1, "to": 2\}\n$/],
    ["module", /^counts\.txt .*one\.txt[^]*exit 0, billed by fuel\n$/],
    ["streaming", /step 0\nstep 1\nstep 2\n[^]*completed\n$/],
    ["verify", /^at once: true\n(?:(?:proved|claimed) .*\n)+nothing in it is wrong\n$/],
  ];
  it.each(programs.slice(0, cases(5, programs.length)))("%s", async (name, expected) => {
    expect(await printed(name, customer)).toMatch(expected);
  });

  it("attach: nothing is lost with a program that is killed as soon as it has ordered", async () => {
    const crashed = await customerOf(market, "crashed");
    const lease = (await printed("attach", crashed, "crash")).trim();
    expect(await printed("attach", crashed)).toMatch(new RegExp(`^${lease.slice(0, 12)} was \\w+: true, done, x\n$`));
  });
});

describe("a run", () => {
  it("has arguments, environment, standard input and files, and its receipt holds", async () => {
    const sdk = await Market.connect();
    const source =
      "import os,sys\nprint(open('/in/sub/name.txt').read(), os.environ['WHO'], sys.argv[1:], sys.stdin.read())\nprint('no', file=sys.stderr)\nopen('/out/got','w').write('done')\nsys.exit(3)";
    const job = await sdk.run({
      ...{ python: { source, name: "own.py" }, args: ["a b", "--mem"], env: { WHO: "me" }, stdin: "typed", budget: 100_000_000n },
      files: { "sub/name.txt": "hello" },
    });
    let text = "";
    for await (const chunk of job.output) text += chunk.stream === "stdout" ? chunk.text : "";
    const result = await job.result;
    expect(text).toBe("hello me ['a b', '--mem'] typed\n");
    expect(result).toMatchObject({ ok: false, exitCode: 3, stdout: text, stderr: "no\n", isCut: false, delivered: "server" });
    expect(result.end).toMatchObject({ reason: "completed", blame: "nobody" });
    expect(result.files.map(({ name, bytes }) => [name, bytes && Buffer.from(bytes).toString()])).toEqual([["got", "done"]]);
    expect(result.verification.ok).toBe(true);
    const { dueNanos, ownerNanos, feeNanos } = result.bill;
    expect([dueNanos > 0n, ownerNanos + feeNanos]).toEqual([true, dueNanos]);
  });

  it("is quoted before it is ordered, tells its lease at once, and leaves its files where that is asked for", async () => {
    const sdk = await Market.connect();
    const source = "open('/out/got','w').write('done')\nprint('there')";
    const notes: string[] = [];
    const prepared = await sdk.prepare({ python: { source }, budget: "0.10", leaveFiles: true, onNote: (text) => notes.push(text) });
    expect([prepared.quoted.quote.holdNanos > 0n, await countOf(sdk.leases({ live: true }))]).toEqual([true, 0]);
    const told: string[] = [];
    const job = await prepared.run({ onLease: (lease) => told.push(lease) });
    expect(told).toEqual([job.lease]);
    const result = await job.result;
    expect(result).toMatchObject({ ok: true, stdout: "there\n", files: [{ name: "got", size: 4, bytes: null }] });
    expect([job.isThere, (await job.ended).id, notes.length > 0]).toEqual([true, result.lease, true]);
    // it ended well: another try would come to the same
    expect([prepared.again(result), await job.audit()]).toEqual([null, null]);
    expect(await sdk.prepare({ python: { source }, out: "x", leaveFiles: true }).catch(({ code }) => code)).toBe("bad_input");
    const lease = await prepared.start();
    expect((await (await sdk.attach(lease)).result).stdout).toBe("there\n");
  });

  it("ends though nobody reads what it prints, and who comes late has the newest and sees the gap", async () => {
    const sdk = await Market.connect();
    const source = "for i in range(40000): print('x' * 63)\nprint('the end')";
    const job = await sdk.run({ python: { source }, budget: "0.50" });
    const { ok, stdout, isCut } = await job.result;
    expect([ok, stdout.length, isCut]).toEqual([true, 1024 * 1024, true]);
    const late = [];
    for await (const chunk of job.output) late.push(chunk);
    expect(late[0]?.offset).toBeGreaterThan(0);
    expect(late.at(-1)?.text.endsWith("the end\n")).toBe(true);
  });

  it("writes what came back to a folder, where nothing of the name lies", async () => {
    const sdk = await Market.connect();
    const out = path.join(market.folder, "results");
    await mkdir(out);
    const input: RunInput = { python: { source: "open('/out/one','w').write('1')" }, out, budget: "0.10" };
    const { files } = await (await sdk.run(input)).result;
    expect(files).toMatchObject([{ name: "one", size: 1, bytes: null }]);
    expect(await readFile(path.join(out, "one"), "utf8")).toBe("1");
    const again = await sdk.run({ ...input, python: { source: "open('/out/one','w').write('2')" } });
    await expect(again.result).rejects.toMatchObject({
      code: "given_up",
      lease: again.lease,
      money: expect.stringMatching(/withdrawn|by-terms/) as string,
    });
  });
});

describe("a full market", () => {
  const endless = { source: "while True: pass" };
  /** All processors of its one server, once nobody has any of them. */
  async function allOf(sdk: Market): Promise<number> {
    const { vcpu } = market.daemon.server.state.capacity.offered;
    await until(async () => (await sdk.search()).offers[0]?.free.vcpu === vcpu);
    return vcpu;
  }

  thoroughly("is waited for where that is asked for, and told as busy where it is not", async () => {
    const sdk = await Market.connect();
    const all = { python: { source: "print('in')" }, cpu: await allOf(sdk), budget: "0.10" };
    const first = await sdk.run({ ...all, python: endless });
    await first.running;
    await expect(sdk.run(all)).rejects.toMatchObject({ code: "busy", retryable: true, money: "none" });
    const places: number[] = [];
    const waits = sdk.run({
      ...{ ...all, wait: "10m" },
      onPlace(ahead) {
        if (places.push(ahead) === 1) void first.stop();
      },
    });
    expect(await (await waits).result).toMatchObject({ ok: true, stdout: "in\n" });
    expect(places[0]).toBe(0);
    await first.result;
  });

  it("is waited for until the wait is called off: the order is withdrawn", async () => {
    const sdk = await Market.connect();
    const all = { python: endless, cpu: await allOf(sdk), budget: "0.10" };
    const first = await sdk.run(all);
    await first.running;
    const off = new AbortController();
    const waits = sdk.run({ ...all, wait: 600_000, signal: off.signal, onPlace: () => off.abort() });
    await expect(waits).rejects.toMatchObject({ code: "given_up", left: "withdrawn", money: "withdrawn" });
    await first.stop();
    await first.result;
  });
});

describe("a signal", () => {
  it("that was given before orders nothing", async () => {
    const sdk = await Market.connect();
    const before = await countOf(sdk.leases());
    const off = AbortSignal.abort(new Error("not today"));
    const refused = sdk.run({ python: { source: "print(1)" }, signal: off });
    await expect(refused).rejects.toMatchObject({ name: "AbortError", code: "aborted", money: "none", cause: new Error("not today") });
    await expect(sdk.search("", { signal: off })).rejects.toMatchObject({ code: "aborted" });
    await expect(sdk.accounts({ signal: off })).rejects.toMatchObject({ code: "aborted" });
    await expect(Market.connect({ signal: off })).rejects.toMatchObject({ code: "aborted" });
    expect(await countOf(sdk.leases())).toBe(before);
  });

  it("that many calls share gathers nothing", async () => {
    const sdk = await Market.connect();
    const { signal } = new AbortController();
    await Promise.all(Array.from({ length: 12 }, () => sdk.search("", { signal })));
    await (
      await sdk.run({ python: { source: "print(1)" }, budget: "0.10", signal })
    ).result;
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });

  it("that comes while the order is on its way has it withdrawn, and says which lease it was", async () => {
    const sdk = await Market.connect();
    const before = await countOf(sdk.leases());
    const off = new AbortController();
    const kept = sdk.client.onFiled;
    sdk.client.onFiled = (filed) => {
      kept(filed);
      if (filed.document.kind === "order") off.abort();
    };
    const refused = await sdk.run({ python: { source: "while True: pass" }, signal: off.signal }).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: "given_up", left: "withdrawn", money: "withdrawn" });
    const { lease } = refused as { lease: string };
    const job = await sdk.attach(lease);
    // by then its server may have taken it
    expect(["customer-stop", "not_started"]).toContain(
      await job.result.then(
        ({ end }) => end.reason,
        (error: { code: string }) => error.code,
      ),
    );
    for await (const { id } of sdk.leases({ live: true })) expect(id).not.toBe(lease);
    expect(await countOf(sdk.leases())).toBe(before + 1);
  });
});

describe("what a key may not do", () => {
  it("is said before anything is signed, and a token needs no login", async () => {
    const seed = randomBytes(32);
    const { url, pins, party } = customer.context;
    const key = { party, role: "ci", label: "reader", scopes: ["read"], account: null, leaseLabel: null, expiresAt: null } as const;
    await customer.client.act("key-grant", {
      ...{ ...key, scopes: [...key.scopes], key: createSigner(seed).publicKey, maxSpendPerDayNanos: null },
    });
    const token = formatCiToken({ url, pins, seed: seed.toString("hex"), key: { ...key, scopes: [...key.scopes] } });
    vi.stubEnv("XENO_HOME", path.join(market.folder, "empty"));
    await expect(Market.connect()).rejects.toMatchObject({ code: "no_context" });
    await expect(Market.connect({ context: "test", token })).rejects.toThrow("no context is called test");
    vi.stubEnv("XENO_TOKEN", token);
    const sdk = await Market.connect();
    expect((await sdk.search()).offers.length).toBe(1);
    const { stdout } = await run(process.execPath, ["packages/cli/bin/xeno.js", "search", "--json"], {
      env: { ...process.env, XENO_HOME: path.join(market.folder, "empty"), XENO_TOKEN: token },
    });
    expect(JSON.parse(stdout)).toMatchObject({ offers: [{ server: expect.stringMatching(/^s_/) as string }] });
    await expect(sdk.run({ python: { source: "print(1)" } })).rejects.toMatchObject({ code: "no_context" });
    const others = formatCiToken({
      ...{ url, seed: seed.toString("hex"), key: { ...key, scopes: [...key.scopes] } },
      pins: { ...pins, origin: "x/1" },
    });
    await expect(Market.connect({ token: others })).rejects.toThrow("other keys than the token pins");
    vi.stubEnv("XENO_TOKEN", undefined);
    vi.stubEnv("XENO_HOME", customer.home);
  });
});

describe("a broker that binds what was not ordered", () => {
  it("is found out before anything of the job is sent, and what it signed is kept", async () => {
    const sdk = await Market.connect();
    const submit = sdk.client.submit.bind(sdk.client);
    sdk.client.submit = async (envelope) => {
      const answer = await submit(envelope);
      return answer.ok && "purchaseOrder" in answer.answer
        ? { ok: true, answer: { ...answer.answer, purchaseOrder: { forged: true } } }
        : answer;
    };
    await expect(sdk.run({ python: { source: "print(1)" }, budget: "0.10" })).rejects.toMatchObject({
      ...{ name: "BrokenPurchaseOrder", code: "broken_purchase_order", blame: "broker", money: "withdrawn", retryable: false },
    });
    const kept = path.join(customer.home, "data/evidence");
    const [file = ""] = await readdir(kept);
    expect(JSON.parse(await readFile(path.join(kept, file), "utf8"))).toMatchObject({ purchaseOrder: { forged: true } });
  });
});
