import { parseAmount, parseBudget, parseDurationMs } from "@xenoservers/sdk";
import { countOrAll, parseLabel } from "../parse.ts";
import { data, flag, inputOf, json, needed, text, timeFormat, value, valueOr, word, wordAs, type InputOf } from "../verb.ts";
import { leaseWord, leaseWords } from "../lease-words.ts";

export const leaseInput = inputOf({ lease: leaseWord }, { json });
export type LeaseInput = InputOf<typeof leaseInput>;
export const leaseShowInput = inputOf({ lease: leaseWord }, { timeFormat, json });
export type LeaseShowInput = InputOf<typeof leaseShowInput>;

export const extendInput = inputOf({ lease: leaseWord, duration: wordAs(parseDurationMs) }, { json });
export type ExtendInput = InputOf<typeof extendInput>;

export const objectInput = inputOf(
  { lease: leaseWord },
  {
    reason: needed("--reason <text>", "what is wrong with the settlement"),
    expected: valueOr("--expected <amount>", "what you should have paid, or been paid for", "0", parseAmount),
    yes: flag("-y, --yes", "do not ask about the deposit"),
    json,
  },
);
export type ObjectInput = InputOf<typeof objectInput>;

export const auditInput = inputOf({ leases: leaseWords }, { json });
export type AuditInput = InputOf<typeof auditInput>;

export const disputeInput = inputOf(
  { lease: leaseWord },
  {
    budget: valueOr("--budget <amount>", "at most this for the referee's run", "1.00", parseBudget),
    yes: flag("-y, --yes", "do not ask about the deposit"),
    json,
  },
);
export type DisputeInput = InputOf<typeof disputeInput>;

export const appealInput = inputOf(
  { lease: leaseWord },
  {
    budget: valueOr("--budget <amount>", "at most this for the second referee's run", "1.00", parseBudget),
    yes: flag("-y, --yes", "do not ask about the cost"),
    ...{ json, data },
  },
);
export type AppealInput = InputOf<typeof appealInput>;

export const attachInput = inputOf(
  { lease: leaseWord },
  {
    out: text("--out <dir>", "what the job leaves in /out comes here"),
    stdin: flag("-i, --stdin", "what is typed or piped in here goes to its program, which was run with -i"),
  },
);
export type AttachInput = InputOf<typeof attachInput>;
export const logsInput = inputOf({ lease: leaseWord }, { follow: flag("-f, --follow", "and what comes") });
export type LogsInput = InputOf<typeof logsInput>;
export const fetchInput = inputOf({ lease: leaseWord }, { out: needed("--out <dir>", "where to") });
export type FetchInput = InputOf<typeof fetchInput>;
export const resultInput = inputOf({ lease: leaseWord }, { out: text("--out <dir>", "what the job left in /out comes here"), json });
export type ResultInput = InputOf<typeof resultInput>;

export const psInput = inputOf(
  {},
  {
    all: flag("-a, --all", "ended ones too"),
    label: value("--label <text>", "of this label alone", parseLabel),
    limit: valueOr("--limit <n>", "how many, newest first; or all", "200", countOrAll),
    after: text("--after <place>", "from where an earlier list ended"),
    ...{ timeFormat, json },
  },
);
export type PsInput = InputOf<typeof psInput>;
export const eventsInput = inputOf(
  {},
  { follow: flag("-f, --follow", "and what comes"), after: text("--after <cursor>", "from there on"), timeFormat, json },
);
export type EventsInput = InputOf<typeof eventsInput>;
export const exportInput = inputOf({ folder: word }, {});
export type ExportInput = InputOf<typeof exportInput>;
