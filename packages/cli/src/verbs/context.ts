/** `xeno context`: the markets known here, and as whom. */
import { home, readContexts, saveContext } from "@xenoservers/sdk";
import type { ContextListInput, ContextUseInput } from "../input/verbs/context.ts";
import { noteContexts } from "../output/completion-words.ts";
import { sayOverruled } from "../output/overruled.ts";
import { printJson } from "../output/terminal.ts";
import { UserError, table } from "../output/ui.ts";

export async function contextList({ json }: ContextListInput): Promise<void> {
  const { current, contexts } = await readContexts();
  const all = Object.entries(contexts);
  await noteContexts(home.data, async () => Object.keys((await readContexts()).contexts));
  if (json) {
    const shown = all.map(([name, { url, party, role, scopes, account, label, leaseLabel }]) => [
      name,
      { url, party, role, scopes, account, label, leaseLabel },
    ]);
    return printJson({ current, contexts: Object.fromEntries(shown) });
  }
  table(
    ["", "context", "url", "party", "key", "may"],
    all.map(([name, { url, party, role, scopes }]) => [name === current ? "*" : "", name, url, party, role, scopes.join(" ")]),
  );
}

export async function contextUse({ name }: ContextUseInput): Promise<void> {
  const { contexts } = await readContexts();
  const context = contexts[name];
  if (!context) throw new UserError(`no context is called ${name}; there are: ${Object.keys(contexts).join(", ") || "none"}`);
  await saveContext(name, context);
  sayOverruled(name);
}
