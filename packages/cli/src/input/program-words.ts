/** Where the words of another program begin on the command line of ours. Who controls the words: whoever types. */
import type { Command, Option } from "commander";

/** Of ours, by the name that a word has. */
export const optionOf = (options: readonly Option[], word: string): Option | undefined => {
  const [name = ""] = word.split("=", 1);
  return options.find(({ long, short }) => long === name || short === name);
};

/** Before the name of a script they are no program of their own: `python3 FILE.py` is FILE.py. */
export const PYTHONS: readonly string[] = ["python", "python3", "python3.12"];

const isShort = (word: string): boolean => /^-[^-]/.test(word);

/**
 * Behind the first word that is no option (the program) the first option that is not ours, and the first of one letter, is the program's,
 * with all that follows it: `job.py --label x --rounds 20` has one of each. A `--` says where that is, whatever stands behind it;
 * behind the program's first argument it is the program's own, as everything behind it is.
 */
export function separated(options: readonly Option[], argv: readonly string[]): string[] {
  let words = 0;
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i]!;
    const isBehindProgram = words > 0;
    if (word === "--" && words < 2) break;
    if (!word.startsWith("-") || word === "-") {
      if (words > 0 || !PYTHONS.includes(word) || !/\.pyz?$/.test(argv[i + 1] ?? "")) words++;
      continue;
    }
    const ours = optionOf(options, word);
    if (isBehindProgram && (!ours || isShort(word))) return [...argv.slice(0, i), "--", ...argv.slice(i)];
    if (ours?.required && !word.includes("=")) i++;
  }
  return [...argv];
}

/** Has the command read its words so. */
export function takesProgram(command: Command): void {
  const parse = command.parseOptions.bind(command);
  command.parseOptions = (argv) => parse(separated(command.options, argv));
  command.showHelpAfterError("(--help shows what it takes; what is the program's own stands behind its name, or behind --)");
}
