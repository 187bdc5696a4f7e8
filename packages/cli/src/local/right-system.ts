/** What runs guests, servers or brokers on this machine is for Linux: elsewhere that is said before anything is begun. */
import { UserError } from "../output/ui.ts";

const NAMES: Readonly<Record<string, string>> = { darwin: "macOS", win32: "Windows" };

/** Null on Linux. */
export function linuxProblem(what: string, system: string = process.platform): string | null {
  if (system === "linux") return null;
  const rest = "what a customer does in a market runs here, guests and markets of one's own do not";
  return `${what} is for Linux, and this is ${NAMES[system] ?? system}: ${rest}`;
}

/** Throws UserError where `what` was asked for on another system. */
export function assertLinux(what: string, system?: string): void {
  const problem = linuxProblem(what, system);
  if (problem !== null) throw new UserError(problem);
}
