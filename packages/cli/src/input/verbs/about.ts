import { SHELLS, type Shell } from "../../output/completion-script.ts";
import { UserError } from "../../output/ui.ts";
import { parsePort } from "../parse.ts";
import { flag, inputOf, json, many, text, value, type InputOf, type Word } from "../verb.ts";

export const demoInput = inputOf(
  {},
  {
    once: flag("--once", "end after the verified settlement"),
    cheat: text("--cheat <name>", "with an owner who cheats in this way, found and convicted; 'list' names them"),
    data: text("--data <dir>", "where it lives"),
    port: value("--port <port>", "of the broker", parsePort),
    page: many("--page <origin>", "of a web page that may use the broker from a browser; again for each"),
    json,
  },
);
export type DemoInput = InputOf<typeof demoInput>;
export const doctorInput = inputOf({}, { json });
export type DoctorInput = InputOf<typeof doctorInput>;
export const versionInput = inputOf({}, { all: flag("--all", "of every part"), json });
export type VersionInput = InputOf<typeof versionInput>;
/** The shell's own name where none is typed. */
function parseShell(typed: string | null): Shell {
  const name = typed ?? process.env["SHELL"]?.split("/").at(-1) ?? "bash";
  const shell = SHELLS.find((each) => each === name);
  if (shell) return shell;
  if (typed === null) return "bash";
  throw new UserError(`'${typed}' is none of ${SHELLS.join(", ")}`);
}
const shellWord: Word<Shell> = { form: (name) => `[${name}]`, read: (raw) => parseShell(typeof raw === "string" ? raw : null) };

export const completionInput = inputOf({ shell: shellWord }, {});
export type CompletionInput = InputOf<typeof completionInput>;
