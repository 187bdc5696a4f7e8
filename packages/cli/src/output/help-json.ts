/** `xeno help --json`: every command with what it takes, for programs that write its words. */
import type { Command } from "commander";

/** Raised where a field goes or means something else; what is added raises nothing. */
const JSON_SCHEMA = 1;

interface CommandHelp {
  name: string;
  aliases: readonly string[];
  says: string;
  words: readonly { name: string; required: boolean; several: boolean }[];
  options: readonly { long: string | null; short: string | null; takes: string | null; choices: readonly string[] | null; says: string }[];
  commands: readonly CommandHelp[];
}

/** `--name <value>` takes a value, which is called so. */
const valueOf = (flags: string): string | null => /[<[]([^>\]]+)[>\]]/.exec(flags)?.[1] ?? null;

function commandHelp(command: Command): CommandHelp {
  return {
    name: command.name(),
    aliases: command.aliases(),
    says: command.description(),
    words: command.registeredArguments.map((each) => ({ name: each.name(), required: each.required, several: each.variadic })),
    options: command.options.map(({ long, short, flags, argChoices, description }) => ({
      ...{ long: long ?? null, short: short ?? null, takes: valueOf(flags), choices: argChoices ?? null, says: description },
    })),
    commands: command.commands.map(commandHelp),
  };
}

/** Of the command that these words lead to; null: there is none. */
export function helpOf(root: Command, words: readonly string[]): ({ schema: number; version: string } & CommandHelp) | null {
  let command: Command | undefined = root;
  for (const word of words) command = command?.commands.find((each) => each.name() === word || each.aliases().includes(word));
  return command ? { schema: JSON_SCHEMA, version: root.version() ?? "", ...commandHelp(command) } : null;
}
