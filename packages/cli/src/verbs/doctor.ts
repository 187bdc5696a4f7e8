/** `xeno doctor`: what is wrong here, and what to do. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { clockWords } from "@xenoservers/market";
import {
  EMPTIED,
  KEPT_BYTES_MAX,
  currentContext,
  fetchMarket,
  filesBelow,
  home,
  pinsOf,
  placeProblem,
  readContexts,
  samePins,
} from "@xenoservers/sdk";
import type { DoctorInput } from "../input/verbs/about.ts";
import { green, print, printJson, red } from "../output/terminal.ts";
import { countOf } from "../output/ui.ts";

interface Finding {
  ok: boolean;
  what: string;
  next: string;
}

const NODE_MIN = 22;
const CLOCK_SLACK_MS = 30_000;

/** A token in the environment takes the place of a login, unless a context is named. */
const isByToken = (): boolean => (process.env["XENO_TOKEN"] ?? "") !== "" && process.env["XENO_CONTEXT"] === undefined;

async function tokenFindings(): Promise<Finding[]> {
  const wrong = (error: Error): Finding[] => [{ ok: false, what: `XENO_TOKEN: ${error.message}`, next: "mend that, or unset it" }];
  return marketFindings().catch(wrong);
}

async function contextFindings(): Promise<Finding[]> {
  if (isByToken()) return tokenFindings();
  const contexts = await readContexts().catch((error: Error) => error.message);
  if (typeof contexts === "string")
    return [{ ok: false, what: contexts, next: "mend that, or put it aside and restore a backup: xeno key restore FILE" }];
  const count = Object.keys(contexts.contexts).length;
  const found = { ok: count > 0, what: countOf(count, "market context"), next: "run `xeno login URL`" };
  return count === 0 ? [found] : [found, ...(await marketFindings())];
}

async function marketFindings(): Promise<Finding[]> {
  const { name, context } = await currentContext();
  const market = await fetchMarket(context.url).catch(() => null);
  const answers = {
    ok: market !== null,
    what: `broker ${name.startsWith("of ") ? name : `of ${name}`} at ${context.url} ${market ? "answers" : "does not answer"}`,
    next: "check the address and the network",
  };
  if (!market) return [answers];
  const offsetMs = Date.now() - market.now;
  const next = "do not use it before the operator explained the change";
  return [
    answers,
    { ok: samePins(pinsOf(market), context.pins), what: "the broker's keys are the pinned ones", next },
    {
      ok: Math.abs(offsetMs) < CLOCK_SLACK_MS,
      what: `this clock is ${clockWords({ offsetMs }, "the broker's")}`,
      next: "set the clock (NTP)",
    },
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

const MIB = 1024 * 1024;
const mebibytes = (bytes: number): string => `${Math.ceil(bytes / MIB)} MiB`;

/** What lies here, and how large it is; what may be emptied has a bound, and may be more for some hours. */
async function keptFindings(): Promise<Finding[]> {
  const sizeOf = async (folder: string): Promise<number> => (await filesBelow(folder)).reduce((sum, { bytes }) => sum + bytes, 0);
  const sizes = await Promise.all(EMPTIED.map(async ([name, what]) => ({ what, bytes: await sizeOf(path.join(home.data, name)) })));
  const bytes = sizes.reduce((sum, each) => sum + each.bytes, 0);
  const parts = sizes.map((each) => `${each.what} ${mebibytes(each.bytes)}`).join(", ");
  const kept = `${mebibytes(bytes)} of at most ${mebibytes(KEPT_BYTES_MAX)} are kept in ${home.data} and may be deleted: ${parts}`;
  const problem = await placeProblem(home.data);
  const room = {
    ok: false,
    what: `nothing can be kept in ${home.data} (${problem})`,
    next: "mend that, or name another folder (XENO_HOME)",
  };
  return [
    ...(problem === null ? [] : [room]),
    { ok: true, what: kept, next: "" },
    { ok: true, what: `${mebibytes(await sizeOf(home.receipts))} of receipts are in ${home.receipts}, and stay`, next: "" },
  ];
}

export async function doctor({ json }: DoctorInput): Promise<void> {
  const findings = [...(await hostFindings()), ...(await keptFindings()), ...(await contextFindings())].map((each) => ({
    ...each,
    next: each.ok ? "" : each.next,
  }));
  if (findings.some(({ ok }) => !ok)) process.exitCode = 1;
  if (json) return printJson({ findings });
  for (const { ok, what, next } of findings) print(`${ok ? green("ok ") : red("BAD")}  ${what}${ok ? "" : ` -> ${next}`}`);
}
