/** The market's page as this program has it: beside its code where it is published, else made of the sources when it is first asked for. */
import { execFile } from "node:child_process";
import { readFile, readdir } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { z } from "zod";
import { isInstalled, ownFile } from "../own-place.ts";
import type { Program } from "./broker-settings.ts";

type PageFiles = Awaited<ReturnType<NonNullable<Parameters<Program["startBroker"]>[0]["page"]>>>;

const zPage = z.object({ script: z.string(), style: z.string() });
const LIST = "page.json";

/** What packs the command builds the page: it lies in the repository alone, and takes memory that a broker shall not keep. */
const BUILDER = "../../scripts/pack/page.ts";

async function folderHere(): Promise<string> {
  if (isInstalled) return ownFile("dist/page");
  const { stdout } = await promisify(execFile)(process.execPath, ["--disable-warning=ExperimentalWarning", ownFile(BUILDER)]);
  return stdout.trim();
}

export async function pageHere(): Promise<PageFiles> {
  const folder = await folderHere();
  const { script, style } = zPage.parse(JSON.parse(await readFile(path.join(folder, LIST), "utf8")));
  const names = (await readdir(folder)).filter((name) => name !== LIST);
  const read = names.map(async (name): Promise<[string, Uint8Array]> => [name, await readFile(path.join(folder, name))]);
  return { script, style, files: new Map(await Promise.all(read)) };
}
