/** `xeno broker backup`, `restore`, `check`: a market's data while no broker runs on it. */
import path from "node:path";
import type { BrokerBackupInput, BrokerCheckInput, BrokerRestoreInput } from "../input/verbs/operator.ts";
import { brokerSettings } from "../local/broker-settings.ts";
import { withBrokerFolder } from "../local/broker-folder.ts";
import { print, printJson, say, yellow } from "../output/terminal.ts";
import { countOf } from "../output/ui.ts";

const place = (folder: string) => ({ dataFolder: folder, databaseUrl: process.env["DATABASE_URL"] });

/** With the archive that is named, or the settings' own. */
const wholePlace = async (folder: string, archive: string | null) => ({
  ...place(folder),
  archive: archive === null ? ((await brokerSettings(folder, null)).now.archive ?? null) : path.resolve(archive),
});

export async function brokerBackup({ file, data, replace, archive }: BrokerBackupInput): Promise<void> {
  const { backup } = await import("@xenoservers/xenocorp");
  const written = await withBrokerFolder(data, false, async (folder) => backup(await wholePlace(folder, archive), file, { replace }));
  print(`${written.rows} rows, log of ${written.logSize} leaves, in ${file}; it holds the broker's keys: keep it secret`);
  if (written.archived === 0) return;
  const leases = countOf(written.archived, "lease");
  if (written.holdsArchive) print(`what was signed in ${leases} of the archive is in it`);
  else say(yellow(`what was signed in ${leases} lies in the archive and is NOT in it: keep that folder too, or name it with --archive`));
}

export async function brokerRestore({ file, data, archive }: BrokerRestoreInput): Promise<void> {
  const { restore } = await import("@xenoservers/xenocorp");
  const done = await withBrokerFolder(data, true, async (folder) => restore(await wholePlace(folder, archive), file));
  print(`restored ${done.rows} rows; the log goes on as epoch ${done.epoch}`);
  if (done.receipts > 0) print(`${countOf(done.receipts, "lease")} of the archive, too: start the broker with the same --archive`);
  if (done.archived > done.receipts)
    say(
      yellow(`${countOf(done.archived - done.receipts, "lease")} lie in an archive that is not in the backup: start with --archive and it`),
    );
  if (!done.previous) return;
  const { epoch, size, root } = done.previous;
  print(`it follows epoch ${epoch} as far as the backup has it: ${size} leaves, root ${root.slice(0, 16)}…`);
  print("what was promised later is void and your debt; witnesses report it, and go on once they have seen the new epoch's first leaf");
}

export async function brokerCheck({ data, archive, json }: BrokerCheckInput): Promise<void> {
  const { check } = await import("@xenoservers/xenocorp");
  const report = await withBrokerFolder(data, false, async (folder) => check(await wholePlace(folder, archive)));
  if (report.problems.length > 0) process.exitCode = 1;
  if (json) return printJson(report);
  print(`books    ${report.balances} balances, ${report.problems.length === 0 ? "all in order" : "WRONG"}`);
  print(`log      ${report.logSize} leaves, ${report.pending} waiting`);
  const { archived, archivedRows, readArchive } = report;
  const looked = readArchive ? "read from end to end" : "not looked at: name the folder with --archive";
  if (archived > 0) print(`archive  ${countOf(archived, "lease")}, ${countOf(archivedRows, "row")}; ${looked}`);
  for (const problem of report.problems) print(`problem  ${problem}`);
}
