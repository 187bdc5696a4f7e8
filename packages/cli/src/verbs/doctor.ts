/** `xeno doctor`: what is wrong here, and what to do. */
import { readFile } from "node:fs/promises";
import { fetchMarket, pinsOf, samePins } from "@xenoservers/sdk";
import { currentContext, readContexts } from "../input/home.ts";
import type { DoctorInput } from "../input/verbs/about.ts";
import { green, print, printJson, red } from "../output/terminal.ts";

interface Finding {
  ok: boolean;
  what: string;
  next: string;
}

const NODE_MIN = 22;
const CLOCK_SLACK_MS = 30_000;

async function contextFindings(): Promise<Finding[]> {
  const contexts = await readContexts().catch((error: Error) => error.message);
  if (typeof contexts === "string") return [{ ok: false, what: contexts, next: "mend that, or restore it from a key backup" }];
  const count = Object.keys(contexts.contexts).length;
  const found = { ok: count > 0, what: `${count} market contexts`, next: "run `xeno login URL`" };
  return count === 0 ? [found] : [found, ...(await marketFindings())];
}

async function marketFindings(): Promise<Finding[]> {
  const { name, context } = await currentContext();
  const market = await fetchMarket(context.url).catch(() => null);
  const answers = {
    ok: market !== null,
    what: `broker of ${name} at ${context.url} ${market ? "answers" : "does not answer"}`,
    next: "check the address and the network",
  };
  if (!market) return [answers];
  const skew = Math.abs(market.now - Date.now());
  const next = "do not use it before the operator explained the change";
  return [
    answers,
    { ok: samePins(pinsOf(market), context.pins), what: "the broker's keys are the pinned ones", next },
    { ok: skew < CLOCK_SLACK_MS, what: `this clock is ${skew} ms off the broker's`, next: "set the clock (NTP)" },
  ];
}

async function hostFindings(): Promise<Finding[]> {
  const [major = 0] = process.versions.node.split(".").map(Number);
  const node = { ok: major >= NODE_MIN, what: `Node ${process.versions.node}`, next: "install Node 22 or later" };
  if (process.platform !== "linux") return [node];
  const limit = await readFile("/proc/sys/user/max_user_namespaces", "utf8").catch(() => "0");
  return [
    node,
    { ok: Number(limit) > 0, what: "user namespaces (needed to serve, not to rent)", next: "sysctl user.max_user_namespaces=15000" },
  ];
}

export async function doctor({ json }: DoctorInput): Promise<void> {
  const findings = [...(await hostFindings()), ...(await contextFindings())].map((each) => ({ ...each, next: each.ok ? "" : each.next }));
  if (findings.some(({ ok }) => !ok)) process.exitCode = 1;
  if (json) return printJson({ findings });
  for (const { ok, what, next } of findings) print(`${ok ? green("ok ") : red("BAD")}  ${what}${ok ? "" : ` -> ${next}`}`);
}
