/** `xeno completion SHELL`: verbs, options, contexts and leases for bash, zsh and fish. */
import path from "node:path";
import type { Command } from "commander";
import { home } from "@xenoservers/sdk";
import type { CompletionInput } from "../input/verbs/about.ts";
import { COMPLETION_FOLDER } from "../output/completion-words.ts";
import { completionScript } from "../output/completion-script.ts";
import { print } from "../output/terminal.ts";

export function completion({ shell }: CompletionInput, root: Command): void {
  const places = { folder: path.join(home.data, COMPLETION_FOLDER), below: `data/${COMPLETION_FOLDER}` };
  print(...completionScript(shell, root, places));
}
