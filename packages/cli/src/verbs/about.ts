/** doctor, version, completion. */
import { readFile } from "node:fs/promises";
import { versions } from "../versions.ts";
import { currentContext, home, readContexts } from "../input/home.ts";
import { fetchMarket, pinsOf } from "@xenoservers/sdk";
import { green, print, printJson, red } from "../output/ui.ts";

interface Finding {
  ok: boolean;
  what: string;
  next: string;
}

export async function doctor({ json }: { json?: boolean }): Promise<void> {
  const findings: Finding[] = [];
  const found = (ok: boolean, what: string, next = ""): void => void findings.push({ ok, what, next });
  const [major] = process.versions.node.split(".").map(Number);
  found(major! >= 22, `Node ${process.versions.node}`, "install Node 22 or later");
  const contexts = await readContexts().then(
    (all) => Object.keys(all.contexts).length,
    () => -1,
  );
  found(
    contexts > 0,
    contexts < 0 ? `${home.contexts} is damaged` : `${contexts} market contexts`,
    contexts < 0 ? "restore it from a key backup" : "run `xeno login URL`",
  );
  if (contexts > 0) {
    const { name, context } = await currentContext();
    const market = await fetchMarket(context.url).catch(() => null);
    found(market !== null, `broker of ${name} at ${context.url} ${market ? "answers" : "does not answer"}`, "check the address and the network");
    if (market) {
      found(
        JSON.stringify(pinsOf(market)) === JSON.stringify(context.pins),
        "the broker's keys are the pinned ones",
        "do not use it before the operator explained the change",
      );
      const skew = Math.abs(market.now - Date.now());
      found(skew < 30_000, `this clock is ${skew} ms off the broker's`, "set the clock (NTP)");
    }
  }
  if (process.platform === "linux") {
    const limit = await readFile("/proc/sys/user/max_user_namespaces", "utf8").catch(() => "0");
    found(Number(limit) > 0, "user namespaces (needed to serve, not to rent)", "sysctl user.max_user_namespaces=15000");
  }
  if (json) printJson({ findings });
  else for (const { ok, what, next } of findings) print(`${ok ? green("ok ") : red("BAD")}  ${what}${ok ? "" : ` -> ${next}`}`);
  if (findings.some(({ ok }) => !ok)) process.exitCode = 1;
}

export async function version({ all, json }: { all?: boolean; json?: boolean }): Promise<void> {
  const known = await versions();
  if (json) return printJson(all ? known : { xeno: known.xeno });
  if (!all) return print(known.xeno);
  for (const [name, value] of Object.entries(known)) print(`${name.padEnd(10)} ${value}`);
}

/** A bash completion that knows the verbs. */
export function completion(verbs: readonly string[]): void {
  print(`# eval "$(xeno completion)"\ncomplete -W "${verbs.join(" ")}" -o default xeno`);
}
