/** `xeno ssh`: ssh through the lease's channel, which proves which machine it is: ssh need not know its key beforehand. */
import { spawn, type ChildProcess } from "node:child_process";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { shortId } from "@xenoservers/sdk";
import type { SshInput } from "../input/verbs/machine.ts";
import { scratch } from "../local/scratch.ts";
import { hold } from "../machine/hold.ts";
import { proxyScript } from "../machine/proxy-script.ts";
import { sshReady } from "../machine/ssh-ready.ts";
import { sshWords } from "../machine/ssh-words.ts";
import { ENTRY } from "../own-place.ts";
import { UserError } from "../output/ui.ts";

const SSH_FAILED = 255;
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
/** What the user sets counts in their place: to ssh the first that is set does. */
const OPTIONS = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "ConnectTimeout=15"];

/** Its exit code. What this program is told, ssh is told; a Ctrl-C comes to both from the terminal. */
async function endOf(child: ChildProcess): Promise<number> {
  const pass = (signal: NodeJS.Signals): void => void (signal !== "SIGINT" && child.kill(signal));
  for (const signal of SIGNALS) process.on(signal, pass);
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once("error", () => reject(new UserError("ssh is not installed here")));
      child.once("exit", (code) => resolve(code ?? SSH_FAILED));
    });
  } finally {
    for (const signal of SIGNALS) process.removeListener(signal, pass);
  }
}

export async function ssh({ lease: id, args: typed, user, identity }: SshInput): Promise<void> {
  const { args, port, set } = sshWords(typed);
  const held = await hold(id, null);
  const lease = held.bound.po.id;
  await sshReady(held, port).finally(() => held.close());
  const { folder, remove } = await scratch("ssh");
  const words = [process.execPath, ENTRY, "forward", lease, `stdio:${port}`];
  const { name, text } = proxyScript(process.platform === "win32", words);
  const script = path.join(folder, name);
  await writeFile(script, text, { mode: 0o700 });
  try {
    const ours = OPTIONS.filter((option) => !set.has(option.split("=")[0]!.toLowerCase()));
    const options = [`ProxyCommand=${script}`, ...ours].flatMap((option) => ["-o", option]);
    const more = [...(user === null ? [] : ["-l", user]), ...(identity === null ? [] : ["-i", identity])];
    const child = spawn("ssh", [...options, ...more, `xeno-${shortId(lease)}`, ...args], { stdio: "inherit" });
    process.exitCode = await endOf(child);
  } finally {
    await remove();
  }
}
