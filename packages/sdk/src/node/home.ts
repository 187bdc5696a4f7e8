/**
 * Where a customer's machine keeps things: by the XDG rules on Linux, where each system has such things elsewhere; XENO_HOME puts all of it
 * in one folder. Files with keys are 0600. Who controls the inputs: whoever runs this (the environment).
 */
import { homedir } from "node:os";
import path from "node:path";

const NAME = "xeno";

/** What of a machine decides where its user's things lie. */
interface Machine {
  platform: string;
  env: NodeJS.ProcessEnv;
  homedir(): string;
}
const HERE: Machine = { platform: process.platform, env: process.env, homedir };

type Part = "config" | "data";

/** Below the user's home folder, and where the environment says otherwise. */
const PLACES: Readonly<Record<string, Record<Part, { variable?: string; below: readonly string[]; own: readonly string[] }>>> = {
  darwin: {
    config: { below: ["Library", "Preferences"], own: [NAME] },
    data: { below: ["Library", "Application Support"], own: [NAME] },
  },
  win32: {
    config: { variable: "APPDATA", below: ["AppData", "Roaming"], own: [NAME, "Config"] },
    data: { variable: "LOCALAPPDATA", below: ["AppData", "Local"], own: [NAME, "Data"] },
  },
  linux: {
    config: { variable: "XDG_CONFIG_HOME", below: [".config"], own: [NAME] },
    data: { variable: "XDG_DATA_HOME", below: [".local", "share"], own: [NAME] },
  },
};

/** Throws where the user has none, as in a container whose user nobody wrote down: keys never fall into the folder at hand. */
function homeFolder(machine: Machine, paths: typeof path.posix): string {
  let found = "";
  try {
    found = machine.homedir();
  } catch {
    // what it says names no variable
  }
  if (paths.isAbsolute(found)) return found;
  const variable = machine.platform === "win32" ? "USERPROFILE" : "HOME";
  throw new Error(`this user has no home folder: set XENO_HOME to a folder of yours for keys and what is kept, or ${variable}`);
}

/** What is relative there is passed over, as the XDG rules have it. */
export function placeFor(part: Part, machine: Machine = HERE): string {
  const paths = machine.platform === "win32" ? path.win32 : path.posix;
  const { variable, below, own } = (PLACES[machine.platform] ?? PLACES["linux"]!)[part];
  const said = variable === undefined ? "" : (machine.env[variable] ?? "");
  return paths.join(paths.isAbsolute(said) ? said : paths.join(homeFolder(machine, paths), ...below), ...own);
}

const own = (name: string, otherwise: () => string): string =>
  process.env["XENO_HOME"] ? path.join(process.env["XENO_HOME"], name) : otherwise();

export const home = {
  get contexts(): string {
    return path.join(
      own("config", () => placeFor("config")),
      "contexts.json",
    );
  },
  get receipts(): string {
    return own("receipts", () => path.join(placeFor("data"), "receipts"));
  },
  get data(): string {
    return own("data", () => placeFor("data"));
  },
};
