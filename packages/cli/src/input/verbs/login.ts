import { flag, inputOf, json, many, maybe, text, type InputOf } from "../verb.ts";

export const loginInput = inputOf(
  { url: maybe },
  {
    name: text("--name <name>", "what the market calls you"),
    context: text("--context <name>", "name it is kept under here"),
    token: text("--token <token>", "use a delegated key"),
    witness: many("--witness <name=key>", "whose cosignatures on the log count; again for each"),
    fingerprint: text("--fingerprint <fingerprint>", "as the operator published it: no other market is taken, and nobody is asked"),
    yes: flag("-y, --yes", "do not ask about the fingerprint"),
    json,
  },
);
export type LoginInput = InputOf<typeof loginInput>;
