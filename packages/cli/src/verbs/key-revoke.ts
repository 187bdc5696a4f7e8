/** `xeno key revoke`, `xeno token revoke`: a key that says nothing any more, from this moment on. */
import { shortId } from "@xenoservers/sdk";
import { openClient } from "../input/client.ts";
import type { KeyRevokeInput } from "../input/verbs/key.ts";
import type { KeyView } from "../output/key-table.ts";
import { print, printJson } from "../output/terminal.ts";
import { UserError } from "../output/ui.ts";

/** By the first letters of its id, or by its label. Throws UserError. */
export function keyCalled(keys: readonly KeyView[], wanted: string): KeyView {
  const standing = keys.filter(({ revokedAt }) => revokedAt === null);
  const byId = standing.filter(({ key }) => key.startsWith(wanted));
  const [found, ...others] = byId.length > 0 ? byId : standing.filter(({ label }) => label === wanted);
  if (!found)
    throw new UserError(`no key that stands starts with '${wanted}' or is called so; see \`xeno token list\` and \`xeno whoami\``);
  if (others.length > 0)
    throw new UserError(
      `'${wanted}' is more than one key (${[found, ...others].map(({ key }) => shortId(key)).join(", ")}); write more of its id`,
    );
  return found;
}

export async function keyRevoke({ key: wanted, reason, json }: KeyRevokeInput): Promise<void> {
  const { client } = await openClient("manage");
  const { key, label } = keyCalled((await client.read("whoami")).keys, wanted);
  await client.act("key-revoke", { party: client.identity.party, key, reason });
  if (json) printJson({ key, label, revoked: true });
  else print(`${shortId(key)} (${label}) is revoked; what it had open is cut`);
}
