/** `xeno broker backup`, `restore`, `check`: a market's data while no broker runs on it. */
import type { BrokerCheckInput, BrokerFileInput } from "../input/verbs/operator.ts";
import { withBrokerFolder } from "../local/broker-folder.ts";
import { print, printJson } from "../output/ui.ts";

const place = (folder: string) => ({ dataFolder: folder, databaseUrl: process.env["DATABASE_URL"] });

export async function brokerBackup({ file, data }: BrokerFileInput): Promise<void> {
  const { backup } = await import("@xenoservers/xenocorp");
  const written = await withBrokerFolder(data, (folder) => backup(place(folder), file));
  print(`${written.rows} rows, log of ${written.logSize} leaves, in ${file}; it holds the broker's keys: keep it secret`);
}

export async function brokerRestore({ file, data }: BrokerFileInput): Promise<void> {
  const { restore } = await import("@xenoservers/xenocorp");
  const done = await withBrokerFolder(data, (folder) => restore(place(folder), file));
  print(`restored ${done.rows} rows; the log goes on as epoch ${done.epoch}, which names the log it follows`);
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
