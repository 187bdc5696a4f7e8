/** `xeno login URL`: pins a market's keys and makes (or takes) an identity in it. */
import { confirm, isCancel } from "@clack/prompts";
import { given, home, login as logIn, readContexts, type ShownMarket } from "@xenoservers/sdk";
import { watching } from "../input/client.ts";
import { parseWitness } from "../input/parse.ts";
import type { LoginInput } from "../input/verbs/login.ts";
import { noteContexts } from "../output/completion-words.ts";
import { sayOverruled } from "../output/overruled.ts";
import { print, printJson, say } from "../output/terminal.ts";
import { UserError } from "../output/ui.ts";

/** Everything is checked against these keys from now on: a person compares them once. */
function show({ origin, fingerprint }: ShownMarket): void {
  say(`market       ${origin}`);
  say(`fingerprint  ${fingerprint}`);
  say("Compare the fingerprint with what the operator published: everything is checked against these keys from now on.");
}

async function ask(): Promise<boolean> {
  if (!process.stdin.isTTY)
    throw new UserError("nobody is here to compare it: give --fingerprint, as the operator published it, or --token; nothing was pinned");
  const agreed = await confirm({ message: "Is it the same?" });
  return !isCancel(agreed) && agreed;
}

export async function login(input: LoginInput): Promise<void> {
  const { url, token, fingerprint, context: kept } = input;
  if (url === null && token === null) throw new UserError("name the market: `xeno login URL`, or give --token");
  const { name, context, ...pinned } = await logIn(url ?? undefined, {
    ...given({ token, fingerprint, context: kept, witnesses: input.witness.length > 0 ? input.witness.map(parseWitness) : null }),
    ...watching(),
    name: input.name ?? process.env["USER"] ?? "customer",
    onMarket: show,
    agree: input.yes ? () => true : ask,
  });
  sayOverruled(name);
  await noteContexts(home.data, async () => Object.keys((await readContexts()).contexts));
  if (input.json)
    printJson({ context: name, party: context.party, account: context.account, scopes: context.scopes, fingerprint: pinned.fingerprint });
  else
    print(
      `you are ${context.party} in ${name}${token === null ? "" : `, with a ${context.role} key that may ${context.scopes.join(", ")}`}`,
    );
}
