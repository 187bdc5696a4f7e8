import { stat } from "node:fs/promises";
import path from "node:path";
import { ifThere } from "@xenoservers/protocol/files";
import { home } from "@xenoservers/sdk";
import { UserError } from "../output/ui.ts";
import { ownFolder } from "./local-socket.ts";

/** Where an operator's broker keeps its data. */
export const brokerFolder = (data: string | null): string => path.resolve(data ?? path.join(home.data, "broker"));

/** The embedded database can be used by one program at a time. `isMade`: where there is no such folder, it becomes one. */
export async function withBrokerFolder<T>(data: string | null, isMade: boolean, work: (folder: string) => Promise<T>): Promise<T> {
  const folder = brokerFolder(data);
  if (!isMade && !(await ifThere(stat(folder)))) throw new UserError(`there is no folder ${folder}: name the broker's with --data`);
  if (process.env["DATABASE_URL"] !== undefined) return work(folder);
  const lock = await ownFolder(folder, "a backup", async () => ({}));
  try {
    return await work(folder);
  } finally {
    lock.close();
  }
}
