import { parseBudget, parseDurationMs } from "@xenoservers/sdk";
import { countTo } from "../parse.ts";
import { flag, inputOf, json, many, negation, rest, text, value, valueOr, word, wordAs, type InputOf } from "../verb.ts";
import { leaseWord } from "../lease-words.ts";

const FORKS_MAX = 64;

export const forkInput = inputOf(
  { lease: leaseWord, count: wordAs(countTo(FORKS_MAX)) },
  {
    budget: valueOr("--budget <amount>", "for each", "1.00", parseBudget),
    maxTime: valueOr("--max-time <duration>", "for each", "1h", parseDurationMs),
    json,
  },
);
export type ForkInput = InputOf<typeof forkInput>;

export const consoleInput = inputOf({ lease: leaseWord }, {});
export type ConsoleInput = InputOf<typeof consoleInput>;
export const execInput = inputOf(
  { lease: leaseWord, command: rest },
  {
    terminal: flag("-t, --tty", "with a terminal of this one's size; without a program: the user's shell"),
    stdin: flag("-i, --stdin", "send standard input (what is piped in always is)"),
    noStdin: negation("--no-stdin", "send none"),
    env: many("-e, --env <name=value>", "environment; NAME alone: this side's own"),
    envFile: many("--env-file <file>", "environment, a NAME=VALUE on each line"),
    user: text("-u, --user <name>", "as this user, or user:group (default: the image's own, or root)"),
    workdir: text("-w, --workdir <dir>", "in this folder"),
    json,
  },
);
export type ExecInput = InputOf<typeof execInput>;
export const copyInput = inputOf(
  { from: word, to: word },
  { archive: flag("-a, --archive", "keep owners, too (modes and times always are)") },
);
export type CopyInput = InputOf<typeof copyInput>;
export const forwardInput = inputOf({ lease: leaseWord, ports: word }, {});
export type ForwardInput = InputOf<typeof forwardInput>;
export const screenInput = inputOf(
  { lease: leaseWord },
  {
    port: value("--port <n>", "of this machine (default: any that is free)", countTo(65_535)),
    noViewer: negation("--no-viewer", "start none, print the password"),
    screenshot: text("--screenshot <file>", "save one picture as PNG, and end"),
  },
);
export type ScreenInput = InputOf<typeof screenInput>;
export const sshInput = inputOf(
  { lease: leaseWord, args: rest },
  { user: text("-l, --user <name>", "as this user"), identity: text("-i, --identity <file>", "with this key") },
);
export type SshInput = InputOf<typeof sshInput>;
