import { conditionsIn, isMapName, parseAmount, parseBudget, parseDurationMs, parseGigaFuel, parsePercent } from "@xenoservers/sdk";
import { UserError } from "../../output/ui.ts";
import { parseArray } from "../map-array.ts";
import { onExit } from "../on-exit.ts";
import { countTo, parseLabel } from "../parse.ts";
import { adding, choice, choiceOr, flag, inputOf, json, many, rest, text, textOr, value, valueOr, word, type InputOf } from "../verb.ts";

const PARALLEL_MAX = 256;
const RETRIES_MAX = 100;

function parseName(typed: string, option: string): string {
  if (isMapName(typed)) return typed;
  throw new UserError(`${option} '${typed.slice(0, 64)}' is no name: at most 64 letters, digits, '-', '_' and '.'`);
}

export const mapInput = inputOf(
  { file: word, words: rest },
  {
    array: adding(
      value("--array <ranges>", "on numbers in place of files, 0-99, 0-99:5 or 3,7: in XENO_INDEX, and for each {}", parseArray),
      ",",
    ),
    null: flag("-0, --null", "of names that are piped in (-- -) each ends with a NUL, as find -print0 has them"),
    parallel: valueOr("-P, --parallel <count>", "so many at once", "8", countTo(PARALLEL_MAX)),
    budget: value(
      "--budget <amount>",
      "most that all of them together may cost, held once (default: 1.00, each held by itself)",
      parseBudget,
    ),
    each: value("--each <amount>", "most that one may cost (default: half the budget, shared among those at once)", parseBudget),
    retries: valueOr("--retries <count>", "run one again so often where it ends by no fault of its customer", "0", (typed, option) =>
      typed === "0" ? 0 : countTo(RETRIES_MAX)(typed, option),
    ),
    resume: value("--resume <name>", "go on with the map of that name, or begin one: what ran is not paid again", parseName),
    reuse: flag("--reuse", "take what the same job came to earlier, where its receipt holds and its result lies here: nothing is ordered"),
    ...onExit,
    failFast: flag("--fail-fast", "the first that fails ends the rest"),
    out: text("--out <dir>", "what each leaves in /out comes to DIR/INPUT-NAME"),
    tag: flag("--tag", "each line of output behind the name of its input"),
    forgetInputs: flag("--forget-inputs", "servers keep nothing of what goes in for your next lease"),
    env: many("-e, --env <name=value>", "environment; NAME alone: this side's own"),
    envFile: many("--env-file <file>", "environment, a NAME=VALUE on each line"),
    maxPrice: value("--max-price <amount>", "most per hour", parseAmount),
    maxFee: value("--max-fee <percent>", "most of it that may go to the broker (default: what it announces)", parsePercent),
    maxTime: value("--max-time <duration>", "longest run of one (default: 1h)", parseDurationMs),
    maxFuel: value("--max-fuel <giga>", "stop one after this much fuel, in 10^9 (default: that of --max-time, else of 10m)", parseGigaFuel),
    maxOutput: textOr("--max-output <size>", "of stdout and stderr of one", "64M"),
    assurance: choiceOr("--assurance <class>", "replicated: the owner's stake is locked", ["isolated", "replicated"], "isolated"),
    pay: choice("--pay <terms>", "default on-result; by-interval for machines", ["on-result", "by-interval"]),
    on: choiceOr("--on <whose>", "your own machines, or the market's", ["mine", "market"], "market"),
    where: adding(
      valueOr("--where <conditions>", "as for search", "", (typed) => {
        conditionsIn(typed, "--where ");
        return typed;
      }),
      " ",
    ),
    cpu: valueOr("--cpu <n>", "vCPUs of one", "1", countTo(1_024)),
    mem: text("--mem <size>", "memory of one (default 512M)"),
    disk: text("--disk <size>", "room for files of one (default 256M; of an image 2G)"),
    label: value("--label <text>", "shown by ps", parseLabel),
    account: text("--account <account>", "paid from this account"),
    quiet: flag("-q, --quiet", "only the jobs' own output"),
    json,
  },
);
export type MapInput = InputOf<typeof mapInput>;
