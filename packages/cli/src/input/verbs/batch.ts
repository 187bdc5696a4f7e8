import { parseBudget, parseDurationMs } from "@xenoservers/sdk";
import { parseBatch } from "../parse.ts";
import { inputOf, json, text, valueOr, wordAs, type InputOf } from "../verb.ts";

export const batchOpenInput = inputOf(
  { budget: wordAs(parseBudget) },
  {
    expires: valueOr("--expires <duration>", "when what is left comes back", "1d", parseDurationMs),
    account: text("--account <account>", "paid from this account"),
    json,
  },
);
export type BatchOpenInput = InputOf<typeof batchOpenInput>;
export const batchCloseInput = inputOf({ batch: wordAs(parseBatch) }, { json });
export type BatchCloseInput = InputOf<typeof batchCloseInput>;
