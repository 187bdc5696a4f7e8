import path from "node:path";
import { home } from "../input/home.ts";
import { ownFolder } from "./local-socket.ts";

/** Where an operator's broker keeps its data. */
export const brokerFolder = (data: string | null): string => path.resolve(data ?? path.join(home.data, "broker"));

/** The embedded database can be used by one program at a time. */
export async function withBrokerFolder<T>(data: string | null, work: (folder: string) => Promise<T>): Promise<T> {
  const folder = brokerFolder(data);
  if (process.env["DATABASE_URL"] !== undefined) return work(folder);
  const lock = await ownFolder(folder, "a backup", async () => ({}));
  try {
    return await work(folder);
  } finally {
    lock.close();
  }
}
