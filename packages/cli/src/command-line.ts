/** A command line from its first word to its exit code. */
import { CommanderError } from "commander";
import { assertWords } from "./input/not-utf8.ts";
import { EXIT } from "./output/exit.ts";
import { leave, watchOver } from "./output/leave.ts";
import { printJson, red, say } from "./output/terminal.ts";
import { program } from "./program.ts";
import { OTHER_WORDS } from "./table/other-words.ts";

/** What follows `--` is another program's. */
const isForPrograms = (argv: readonly string[]): boolean => argv.slice(0, [...argv, "--"].indexOf("--")).includes("--json");

/** Help that was asked for is no error; its words have been said. */
function usageEnd({ exitCode, message }: CommanderError, json: boolean): number {
  if (exitCode === 0) return 0;
  if (json) printJson({ error: { code: "usage", says: message.replace(/^error: /, "") } });
  return EXIT.xeno;
}

function usageError(says: string, json: boolean): void {
  process.exitCode = EXIT.xeno;
  if (json) printJson({ error: { code: "usage", says } });
  else say(`${red("error")}: ${says}`);
}

/** What it takes to say what went wrong is loaded when something does. */
const reported = async (error: unknown, json: boolean): Promise<number> => (await import("./output/report.ts")).reportError(error, json);

/** Of all, or of the verb that the words name. Returns whether that was all: for people the parser shows what there is. */
async function helped(words: readonly string[], json: boolean): Promise<boolean> {
  const { helpOf } = await import("./output/help-json.ts");
  const found = helpOf(await program(), words);
  if (found && json) printJson(found);
  if (found) return json;
  usageError(`there is no verb '${words.join(" ")}': xeno help ${json ? "--json has" : "shows"} all of them`, json);
  return true;
}

export async function commandLine(argv: string[]): Promise<void> {
  watchOver((error) => reported(error, isForPrograms(argv)));
  const words = argv.slice(1).filter((word) => !word.startsWith("-"));
  if (argv[0] === "help" && (await helped(words, argv.includes("--json")))) return;
  const meant = OTHER_WORDS.get(argv[0] ?? "");
  if (meant !== undefined) {
    usageError(`there is no verb '${argv[0]}': ${meant}`, isForPrograms(argv));
    return;
  }
  // the parser's own help takes one word, and a verb may have two
  const typed = argv[0] === "help" && words.length > 0 ? [...words, "--help"] : argv;
  try {
    assertWords(argv);
    await (await program(typed)).parseAsync(typed, { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) process.exitCode = usageEnd(error, isForPrograms(argv));
    else process.exitCode = await reported(error, isForPrograms(argv));
    if (error instanceof CommanderError) return;
  }
  // links, pools and embedded programs are closed by their verbs; what a library keeps open must not keep a shell waiting
  await leave();
}
