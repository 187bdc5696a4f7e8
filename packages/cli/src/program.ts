/** The command line as its parser knows it: every verb by name, and what is taken by those that were typed. */
import { Command } from "commander";
import { ownVersion } from "./own-version.ts";
import { print, say } from "./output/terminal.ts";
import type { Verb } from "./input/verb.ts";
import { VERBS } from "./table/verbs.ts";

const linesOf = (text: string): string[] => text.trimEnd().split("\n");
const isNamed = (each: Verb, name: string): boolean => each.name === name || each.alias === name;
/** These tell of all the others. */
const OF_ALL = ["help", "completion"];

/** Whose options are read: loading the others takes longer than most of them run. */
function wantedOf(argv: readonly string[]): readonly Verb[] {
  if (argv.length === 1 && argv[0] === "--version") return [];
  const name = argv.find((each) => !each.startsWith("-"));
  const wanted = VERBS.filter((each) => name !== undefined && isNamed(each, name) && !OF_ALL.includes(name));
  return wanted.length > 0 ? wanted : VERBS;
}

/** `argv`: what was typed; absent: every verb has its options. */
export async function program(argv: readonly string[] = []): Promise<Command> {
  const xeno = new Command("xeno")
    .description("An open market for computers: rent one by the second, or rent out yours.")
    .enablePositionalOptions()
    .version(ownVersion(), "--version", "this program's version")
    .option("--curl", "before the verb: shows each call of the market's API on stderr, as curl makes it")
    .hook("preAction", async (root) => {
      if (root.opts()["curl"] === true) (await import("./output/as-curl.ts")).showCalls();
    })
    .showHelpAfterError("(--help shows what it takes)")
    .configureOutput({ writeOut: (text) => print(...linesOf(text)), writeErr: (text) => say(...linesOf(text)) })
    .exitOverride();
  const wanted = wantedOf(argv);
  for (const each of VERBS) await each.declare(xeno, wanted.includes(each));
  return xeno;
}
