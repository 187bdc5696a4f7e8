/** Asks a person before something that costs; a script has said it by running the verb. */
import { confirm, isCancel } from "@clack/prompts";
import { visible } from "@xenoservers/protocol";
import { UserError } from "./ui.ts";

/** Throws UserError where the answer is no. */
export async function agree(message: string, yes: boolean): Promise<void> {
  if (yes || !process.stdin.isTTY) return;
  const agreed = await confirm({ message: visible(message) });
  if (isCancel(agreed) || !agreed) throw new UserError("nothing was sent");
}
