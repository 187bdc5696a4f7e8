/** `xeno`: what asks for its version alone has it before anything else is loaded. */
import { watchOver } from "./output/leave.ts";
import { print } from "./output/terminal.ts";
import { ownVersion } from "./own-version.ts";

export async function main(argv: string[]): Promise<void> {
  if (argv.length === 1 && argv[0] === "--version") {
    watchOver(async (error) => (await import("./output/report.ts")).reportError(error, false));
    return print(ownVersion());
  }
  const ahead = process.platform === "linux" && argv.includes("--local") ? await import("./local/ahead.ts") : null;
  const program = ahead?.localProgram(argv) ?? null;
  if (program !== null) await ahead?.startAhead(program);
  const { commandLine } = await import("./command-line.ts");
  await commandLine(argv);
  await ahead?.dropAhead();
}
