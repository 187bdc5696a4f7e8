/**
 * `xeno broker reread`: the broker that runs here reads xenocorp.toml again. Who controls the input: the operator, whose program answers.
 */
import * as z from "zod/mini";
import type { BrokerRereadInput } from "../input/verbs/operator.ts";
import { brokerFolder } from "../local/broker-folder.ts";
import { ask } from "../local/local-socket.ts";
import { rereadWords } from "../local/on-hangup.ts";
import { print, printJson } from "../output/terminal.ts";
import { UserError } from "../output/ui.ts";

const zAnswer = z.object({ reread: z.object({ changed: z.array(z.string()), later: z.array(z.string()) }) });

export async function brokerReread({ data, json }: BrokerRereadInput): Promise<void> {
  const folder = brokerFolder(data);
  const answer = await ask(folder, { command: "reread" });
  if (!answer) throw new UserError(`no broker runs on ${folder}; start it with \`xeno broker\``);
  if (answer["error"] !== undefined) throw new UserError(String(answer["error"]));
  const read = zAnswer.safeParse(answer);
  if (!read.success) throw new UserError(`what runs on ${folder} is no broker that reads xenocorp.toml again`);
  if (json) return printJson(read.data.reread);
  print(...rereadWords(read.data.reread));
}
