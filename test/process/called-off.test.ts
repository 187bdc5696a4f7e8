/**
 * Ctrl-C while an order is on its way, and no job is there yet: whatever it comes to is given up, and nothing is held. Real programs; the
 * broker's answer to the order waits here.
 */
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { connect, createServer, type AddressInfo, type Server } from "node:net";
import path from "node:path";
import { API } from "@xenoservers/protocol";
import { afterAll, beforeAll, expect, it } from "vitest";
import { until } from "../until.ts";
import { command, started } from "./command.ts";
import { endless } from "./jobs.ts";
import { startMarket, type TestMarket } from "./market.ts";

let market: TestMarket;
let proxy: Server;
let job: string;
/** What the broker has said since an order was sent, and nobody has heard. */
let held: (() => void)[] | null = null;
const SAID = "the order is given up once the broker answers";

const xeno = (...args: string[]) => command(path.join(market.folder, "customer"), ...args);
const nothingIsHeld = (): Promise<void> => until(async () => (await xeno("wallet", "--json")).stdout.includes('"held":"0"'));

beforeAll(async () => {
  market = await startMarket();
  proxy = createServer((near) => {
    const far = connect(Number(new URL(market.broker.url).port), "127.0.0.1");
    let isOrdering = false;
    near.on("data", (bytes) => {
      isOrdering ||= bytes.toString("latin1").startsWith(`POST ${API.submit.path} `);
      far.write(bytes);
    });
    far.on("data", (bytes) => {
      if (isOrdering && held) held.push(() => near.write(bytes));
      else near.write(bytes);
    });
    for (const [one, other] of [[near, far] as const, [far, near] as const]) one.on("error", () => {}).on("close", () => other.destroy());
  });
  await once(proxy.listen(0, "127.0.0.1"), "listening");
  job = path.join(market.folder, "endless.wasm");
  await writeFile(job, await endless());
  await xeno("login", `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`, "--yes", "--name", "customer", "--context", "test");
  const { party } = JSON.parse((await xeno("whoami", "--json")).stdout) as { party: string };
  await market.operator("credit", { party, amountNanos: "10000000000", source: "operator", reference: "", clientId: "cd".repeat(16) });
});
afterAll(async () => {
  proxy.close();
  await market.close();
});

/** Orders, and is interrupted before it has heard what came of it. */
async function interrupted(...options: string[]): Promise<ReturnType<typeof started> & { said(): string }> {
  held = [];
  let heard = "";
  const run = started(path.join(market.folder, "customer"), ["run", job, ...options], (text) => (heard += text));
  await until(() => held!.length > 0 || run.child.exitCode !== null);
  run.child.kill("SIGINT");
  await until(() => heard.includes(SAID) || run.child.exitCode !== null);
  return { ...run, said: () => heard };
}

it.each([[[]], [["--detach"]]])("withdraws what it came to: xeno run %j", async (options) => {
  const { done } = await interrupted(...options);
  const all = held!;
  held = null;
  for (const goesOn of all) goesOn();
  const { code, stdout, stderr } = await done;
  expect([code, stdout], stderr).toEqual([130, ""]);
  expect(stderr).toContain("the order was withdrawn, and nothing is charged from now on");
  await nothingIsHeld();
});

it("does not wait for a broker that does not answer where it is asked again", async () => {
  const { child, done } = await interrupted();
  child.kill("SIGINT");
  const { code, stderr } = await done;
  expect([code, stderr], stderr).toEqual([130, expect.stringContaining("the broker has not confirmed that the order is withdrawn")]);
  held = null;
});
