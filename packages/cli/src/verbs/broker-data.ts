/** `xeno broker backup`, `restore`, `check`: a market's data while no broker runs on it. */
import type { BrokerCheckInput, BrokerFileInput } from "../input/verbs/operator.ts";
import { withBrokerFolder } from "../local/broker-folder.ts";
import { print, printJson } from "../output/terminal.ts";

const place = (folder: string) => ({ dataFolder: folder, databaseUrl: process.env["DATABASE_URL"] });

export async function brokerBackup({ file, data }: BrokerFileInput): Promise<void> {
  const { backup } = await import("@xenoservers/xenocorp");
  const written = await withBrokerFolder(data, (folder) => backup(place(folder), file));
  print(`${written.rows} rows, log of ${written.logSize} leaves, in ${file}; it holds the broker's keys: keep it secret`);
}

export async function brokerRestore({ file, data }: BrokerFileInput): Promise<void> {
  const { restore } = await import("@xenoservers/xenocorp");
  const done = await withBrokerFolder(data, (folder) => restore(place(folder), file));
  print(`restored ${done.rows} rows; the log goes on as epoch ${done.epoch}`);
  if (!done.previous) return;
  const { epoch, size, root } = done.previous;
  print(`it follows epoch ${epoch} as far as the backup has it: ${size} leaves, root ${root.slice(0, 16)}…`);
  print("what was promised later is void and your debt; witnesses report it, and go on once they have seen the new epoch's first leaf");
}

export async function brokerCheck({ data, json }: BrokerCheckInput): Promise<void> {
  const { check } = await import("@xenoservers/xenocorp");
  const report = await withBrokerFolder(data, (folder) => check(place(folder)));
  if (report.problems.length > 0) process.exitCode = 1;
  if (json) return printJson(report);
  print(`books    ${report.balances} balances, ${report.problems.length === 0 ? "all in order" : "WRONG"}`);
  print(`log      ${report.logSize} leaves, ${report.pending} waiting`);
  for (const problem of report.problems) print(`problem  ${problem}`);
}
