/** What its user gives ssh, as far as it changes how a machine is reached. Who controls the input: whoever typed the words. */
import { parseCount } from "@xenoservers/sdk";

/** Of OpenSSH 7 to 10: those that stand alone, and those that a word belongs to. */
const ALONE = "1246ACGKMNTVXYafgknqstvxy";
const WITH_WORD = "BDEFIJLOPQRSWbceilmopw";
const PORT = 22;
const PORT_MAX = 65_535;

interface SshWords {
  /** As ssh gets them. */
  args: string[];
  port: number;
  /** Names of options that they set, in small letters. */
  set: ReadonlySet<string>;
}

/** How many of them are options before the command, each with its word, which ssh reads; `found` is told of each. */
function optionsIn(args: readonly string[], found: (letter: string, word: string) => void): number {
  let at = 0;
  for (; at < args.length && args[at]!.startsWith("-") && args[at] !== "--"; at++) {
    const letters = args[at]!.slice(1);
    for (let i = 0; i < letters.length; i++) {
      const letter = letters.charAt(i);
      if (ALONE.includes(letter)) continue;
      if (!WITH_WORD.includes(letter)) return at; // ssh says what is wrong with it
      found(letter, letters.slice(i + 1) || (args[++at] ?? ""));
      break;
    }
  }
  return at;
}

/**
 * As ssh has it, options may stand before the machine, `--` between them, and a user before an `@`: so rsync, git, scp and sftp ask for it.
 * In the order that this program reads: the machine first.
 */
export function machineFirst(words: readonly string[]): string[] {
  const before = optionsIn(words, () => {});
  const [machine, ...behind] = words.slice(words[before] === "--" ? before + 1 : before);
  if (machine === undefined || machine.startsWith("-")) return [...words];
  const [user, lease] = [machine.slice(0, Math.max(0, machine.lastIndexOf("@"))), machine.slice(machine.lastIndexOf("@") + 1)];
  return [lease, ...words.slice(0, before), ...(user === "" ? [] : ["-l", user]), ...behind];
}

/** The `--` before its command parts ssh's words from this program's own, as of `xeno exec`. */
export function sshWords(words: readonly string[]): SshWords {
  const parting = optionsIn(words, () => {});
  const args = words.filter((word, at) => at !== parting || word !== "--");
  const set = new Set<string>();
  let port = PORT;
  optionsIn(args, (letter, word) => {
    const [, name = "", value = ""] = (letter === "o" ? /^\s*([^\s=]+)\s*[\s=]\s*"?([^"]*)"?$/.exec(word) : null) ?? [];
    const isPort = letter === "p" || name.toLowerCase() === "port";
    if (isPort && !set.has("port")) port = parseCount(letter === "p" ? word : value, "port", PORT_MAX);
    if (isPort) set.add("port");
    else if (name !== "") set.add(name.toLowerCase());
  });
  return { args, port, set };
}
