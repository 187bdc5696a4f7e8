/**
 * The completion of a shell as one text: verbs, options and the values that an option has stand in it, so that no program is started for a
 * key that is pressed; contexts and leases are read from their files. bash and zsh share one function, fish has its own.
 */
import type { Command, Option } from "commander";
import { shellWord } from "@xenoservers/sdk";
import type { WordList } from "./completion-words.ts";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/** Where the words are that change: whole, and what XENO_HOME puts in its place. */
interface Places {
  folder: string;
  below: string;
}

interface Entry {
  path: string;
  words: string[];
  /** A list that its first word is of. */
  list: WordList | null;
  /** A verb's words may be files; where a verb is still to come nothing is. */
  isVerb: boolean;
}

const LISTS: Readonly<Record<string, Entry["list"]>> = { lease: "leases", leases: "leases", leaseOrFile: "leases" };
/** What a verb's first word may be, where that is a closed set. */
const VALUES: Readonly<Record<string, readonly string[]>> = { shell: SHELLS };
const optionsOf = ({ options }: Command): string[] =>
  options.flatMap(({ long, short }) => [long, short].filter((name): name is string => typeof name === "string"));

function entries(command: Command, above: string): Entry[] {
  const [first] = command.registeredArguments;
  const isContext = above === "context use";
  const own: Entry = {
    path: above,
    words: [
      ...command.commands.flatMap((each) => [each.name(), ...each.aliases()]),
      ...(VALUES[first?.name() ?? ""] ?? []),
      ...optionsOf(command),
      "--help",
    ],
    list: isContext ? "contexts" : (LISTS[first?.name() ?? ""] ?? null),
    isVerb: command.commands.length === 0,
  };
  return [
    own,
    ...command.commands.flatMap((each) =>
      [each.name(), ...each.aliases()].flatMap((name) => entries(each, above === "" ? name : `${above} ${name}`)),
    ),
  ];
}

/** Options that have a closed set of values, each once. */
function choices(command: Command): Map<string, readonly string[]> {
  const found = new Map<string, readonly string[]>();
  const of = ({ long, argChoices }: Option): void => void (long && argChoices && found.set(long, argChoices));
  command.options.forEach(of);
  for (const each of command.commands) for (const [name, values] of choices(each)) found.set(name, values);
  return found;
}

/** Not by a name that its user has given another meaning. */
const READ_BY: Readonly<Record<WordList, string>> = { contexts: "command cat", leases: "command ls -t" };
const listing = (list: WordList): string => `${READ_BY[list]} "$folder/${list}" 2>/dev/null`;
const listIn = (list: WordList): string => `$(${listing(list)})`;

function forBash(root: Command, { folder, below }: Places): string[] {
  const all = entries(root, "");
  return [
    "_xeno() {",
    '  local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}" at="" next="" i words=""',
    `  local folder=${shellWord(folder)}`,
    `  [ -n "$XENO_HOME" ] && folder="$XENO_HOME/${below}"`,
    "  for ((i = 1; i < COMP_CWORD; i++)); do",
    '    next="${at:+$at }${COMP_WORDS[i]}"',
    `    case "$next" in`,
    `      ${all
      .filter(({ path }) => path !== "")
      .map(({ path }) => `"${path}"`)
      .join(" | ")}) at="$next" ;;`,
    "    esac",
    "  done",
    '  case "$previous" in',
    ...[...choices(root)].map(([name, values]) => `    ${name}) words="${values.join(" ")}" ;;`),
    "  esac",
    '  [ -n "$words" ] || case "$at" in',
    ...all.map(({ path, words, list }) => `    "${path}") words="${words.join(" ")}${list === null ? "" : ` ${listIn(list)}`}" ;;`),
    "  esac",
    '  COMPREPLY=($(compgen -W "$words" -- "$current"))',
    "}",
    "complete -o default -F _xeno xeno",
  ];
}

function forFish(root: Command, { folder, below }: Places): string[] {
  const all = entries(root, "");
  return [
    "function __xeno_words",
    "    set -l folder " + shellWord(folder),
    `    set -q XENO_HOME; and test -n "$XENO_HOME"; and set folder "$XENO_HOME/${below}"`,
    "    set -l typed (commandline -opc)",
    "    set -l at ''",
    "    for word in $typed[2..-1]",
    '        set -l next (string trim -- "$at $word")',
    '        switch "$next"',
    `            case ${all
      .filter(({ path }) => path !== "")
      .map(({ path }) => `'${path}'`)
      .join(" ")}`,
    '                set at "$next"',
    "        end",
    "    end",
    "    switch $typed[-1]",
    ...[...choices(root)].flatMap(([name, values]) => [
      `        case ${name}`,
      `            printf '%s\\n' ${values.join(" ")}`,
      "            return",
    ]),
    "    end",
    '    switch "$at"',
    ...all.flatMap(({ path, words, list, isVerb }) => [
      `        case '${path}'`,
      `            printf '%s\\n' ${words.join(" ")}`,
      ...(list === null ? [] : [`            ${listing(list)}`]),
      ...(isVerb ? ["            __fish_complete_path (commandline -ct)"] : []),
    ]),
    "    end",
    "end",
    // files are among the words where they can be meant: fish offers them everywhere else too
    "complete -c xeno -f -a '(__xeno_words)'",
  ];
}

const HOW: Readonly<Record<Shell, string>> = {
  bash: '# in ~/.bashrc: eval "$(xeno completion bash)"',
  zsh: '# in ~/.zshrc, behind compinit: eval "$(xeno completion zsh)"',
  fish: "# in ~/.config/fish/config.fish: xeno completion fish | source",
};
/** zsh has bash's way too. */
const BEFORE: Readonly<Record<Shell, readonly string[]>> = {
  bash: [],
  zsh: ["autoload -U +X compinit && compinit -D", "autoload -U +X bashcompinit && bashcompinit"],
  fish: [],
};

export const completionScript = (shell: Shell, root: Command, places: Places): string[] => [
  HOW[shell],
  ...BEFORE[shell],
  ...(shell === "fish" ? forFish(root, places) : forBash(root, places)),
];
