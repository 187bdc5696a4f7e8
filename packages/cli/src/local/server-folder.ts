import { home } from "@xenoservers/sdk";
import path from "node:path";

/** Where an owner's daemon keeps its data. */
export const serverFolder = (data: string | null): string => path.resolve(data ?? path.join(home.data, "server"));
