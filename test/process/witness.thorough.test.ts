/** A witness of the log: it cosigns what extends, customers see log facts proved, and a broker that forks its log is convicted offline. */
import { readFile, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { signCheckpoint, verifyCheckpoint, type Checkpoint } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { until } from "../until.ts";
import { command } from "./command.ts";
import { saying } from "./jobs.ts";
import { startMarket, type TestMarket } from "./market.ts";

let market: TestMarket;
let pinned: string;

const xeno = (who: string, ...args: string[]) => command(path.join(market.folder, who), ...args);
const look = (url = market.broker.url) => xeno("witness", "witness", url, "--once", "--name", "w1");
const logLine = async (lease: string): Promise<{ status: string; says: string }> => {
  const { stdout } = await xeno("customer", "verify", lease, "--json");
  return (JSON.parse(stdout) as { lines: { check: string; status: string; says: string }[] }).lines.find(({ check }) => check === "log")!;
};

/** The broker as it shows itself to the witness alone: another checkpoint, everything else passed on. */
async function twoFaced(forge: (honest: Checkpoint) => string): Promise<Server> {
  const server = createServer((request, response) => {
    void (async () => {
      const answer = await fetch(new URL(request.url!, market.broker.url));
      const text = await answer.text();
      if (request.url !== "/log/checkpoint") return response.writeHead(answer.status, { "content-type": "application/json" }).end(text);
      return response.end(forge(verifyCheckpoint(nodeCrypto, market.broker.loaded.keys.checkpoints.publicKey, text)!));
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}
const urlOf = (server: Server): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
const forged = (checkpoint: Partial<Checkpoint>) => (honest: Checkpoint) =>
  signCheckpoint(nodeCrypto, market.broker.loaded.keys.checkpoints, { ...honest, ...checkpoint });

beforeAll(async () => {
  market = await startMarket();
  const first = await look();
  pinned = first.stdout.trim();
  expect(first.stderr).toContain("no witness of this market");
  await market.operator("witness", { name: "w1", key: pinned.split("=")[1]!, active: true, clientId: "ab".repeat(16) });
  expect((await xeno("customer", "login", market.broker.url, "--yes", "--name", "c", "--context", "test", "--witness", pinned)).code).toBe(
    0,
  );
  const { party } = JSON.parse((await xeno("customer", "whoami", "--json")).stdout) as { party: string };
  await market.operator("credit", { party, amountNanos: "10000000000", source: "operator", reference: "", clientId: "cd".repeat(16) });
});
afterAll(() => market.close());

it("turns log facts from claimed to proved once the pinned witness has cosigned", async () => {
  const hello = path.join(market.folder, "hello.wasm");
  await writeFile(hello, await saying("hello"));
  const { lease } = JSON.parse((await xeno("customer", "run", hello, "--json")).stdout) as { lease: string };
  await until(async () => /^(\d+) of \1 /.test((await logLine(lease)).says)); // the sequencer takes what is pending
  expect(await logLine(lease)).toMatchObject({ status: "claimed", says: expect.stringContaining("0 of 1 pinned witnesses") });
  // what the log has taken since it looked is for its next look
  let said = "";
  await until(async () => {
    const { code, stderr } = await look();
    expect(code, stderr).toBe(0);
    said += stderr;
    return (await logLine(lease)).status === "proved";
  });
  expect(said).toMatch(/cosigned \d+ leaves/);
  expect(await logLine(lease)).toMatchObject({ says: expect.stringContaining("1 of 1 pinned witnesses") });
});

it("refuses a log that shrank, and one that does not begin with what was cosigned", async () => {
  for (const [checkpoint, why] of [
    [{ size: 1 }, "shrank"],
    [{ size: 1_000_000, root: "77".repeat(32) }, "does not begin with"],
  ] as const) {
    const server = await twoFaced(forged(checkpoint));
    const { code, stderr } = await look(urlOf(server));
    server.close();
    expect(code).not.toBe(0);
    expect(stderr).toContain(why);
  }
});

it("packs two contradicting checkpoints from anywhere, and nothing else", async () => {
  const { keys } = market.broker.loaded;
  const note = await (await fetch(new URL("/log/checkpoint", market.broker.url))).text();
  const honest = verifyCheckpoint(nodeCrypto, keys.checkpoints.publicKey, note)!;
  const files = {
    honest: path.join(market.folder, "a.txt"),
    other: path.join(market.folder, "b.txt"),
    out: path.join(market.folder, "e.json"),
  };
  await writeFile(files.honest, note);
  await writeFile(files.other, forged({ root: "55".repeat(32) })(honest));
  expect((await xeno("customer", "evidence", files.honest, files.honest, "--out", files.out)).code).toBe(125);
  expect(await xeno("customer", "evidence", "--promises")).toMatchObject({
    code: 0,
    stderr: expect.stringContaining("no promise can be shown broken"),
  });
  expect((await xeno("customer", "evidence", files.honest, files.other, "--out", files.out)).code).toBe(0);
  // what convicts is not written over
  expect(await xeno("customer", "evidence", files.other, files.honest, "--out", files.out)).toMatchObject({
    code: 125,
    stderr: expect.stringContaining("is there already"),
  });
  expect((await xeno("nobody", "verify", files.out, "--operator", market.broker.loaded.operator!.publicKey)).code).toBe(0);
  expect((await xeno("nobody", "verify", files.out)).code).toBe(1);
});

it("refuses another log of the same size, and keeps what convicts the broker anywhere", async () => {
  await look();
  const { followed } = JSON.parse(await readFile(path.join(market.folder, "witness/data/witness/witness.json"), "utf8")) as {
    followed: { current: string; logs: Record<string, string[]> };
  };
  const { publicKey } = market.broker.loaded.keys.checkpoints;
  const last = verifyCheckpoint(nodeCrypto, publicKey, followed.logs[followed.current]!.at(-1)!)!;
  const server = await twoFaced(forged({ size: last.size, root: "13".repeat(32) }));
  const { code, stderr } = await look(urlOf(server));
  server.close();
  expect(code).not.toBe(0);
  expect(stderr).toContain("NOT cosigned: two logs of the same size");
  const file = /checkpoints are in (\S+\.json)/.exec(stderr)![1]!;
  const byOperator = ["--operator", market.broker.loaded.operator!.publicKey];
  const verdict = await xeno("nobody", "verify", file, ...byOperator);
  expect([verdict.code, verdict.stdout]).toEqual([0, expect.stringMatching(/proved +fork .*it cheats \(rule E3\)/)]);
  // who knows no market takes nobody's word
  const unknown = await xeno("nobody", "verify", file);
  expect([unknown.code, unknown.stdout]).toEqual([1, expect.stringContaining("by keys that the file itself brings")]);
  expect(unknown.stdout).not.toContain("proved ");
  const changed = path.join(market.folder, "changed.json");
  const evidence = JSON.parse(await readFile(file, "utf8")) as { first: string; second: string };
  const root = Buffer.from("13".repeat(32), "hex").toString("base64");
  const other = Buffer.from(`14${"13".repeat(31)}`, "hex").toString("base64");
  expect(evidence.second).toContain(root);
  await writeFile(changed, JSON.stringify({ ...evidence, second: evidence.second.replace(root, other) }));
  expect((await xeno("nobody", "verify", changed, ...byOperator)).code).toBe(1);
  // and this log is not cosigned any more, whatever the broker shows now
  expect(await look()).toMatchObject({ code: 125, stderr: expect.stringContaining("not cosigned any more") });
});
