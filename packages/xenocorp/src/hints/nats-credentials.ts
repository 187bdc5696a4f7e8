/**
 * What a broker shows to NATS, from a file of its own that nobody else may read: the seed of an nkey (`SU…`), a `.creds` file as `nsc`
 * writes it, or one line `USER:PASSWORD`. Who controls the inputs: the operator. Nothing of it is ever part of what is said of it.
 */
import { constants, open } from "node:fs/promises";
import { utf8 } from "@xenoservers/protocol";
import type { Authenticator } from "@nats-io/transport-node";

const BYTES_MAX = 64 * 1024;
const OTHERS = 0o077;

async function secretIn(file: string): Promise<string> {
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK).catch((cause: NodeJS.ErrnoException) => {
    throw new Error(`the credentials for NATS in ${file} cannot be read (${cause.code})`, { cause });
  });
  try {
    const stat = await handle.stat();
    if (!stat.isFile() || stat.size > BYTES_MAX) throw new Error(`${file} is no file of credentials for NATS`);
    if ((stat.mode & OTHERS) !== 0) throw new Error(`others may read ${file}: make it yours alone with chmod 600 ${file}`);
    return (await handle.readFile("utf8")).trim();
  } finally {
    await handle.close();
  }
}

export async function natsAuthenticator(file: string): Promise<Authenticator> {
  const { credsAuthenticator, nkeyAuthenticator, nkeys, usernamePasswordAuthenticator } = await import("@nats-io/transport-node");
  const secret = await secretIn(file);
  if (secret.includes("BEGIN NATS USER JWT")) return credsAuthenticator(utf8(secret));
  const [, user, password] = /^([^\s:]+):(\S+)$/.exec(secret) ?? [];
  if (user !== undefined) return usernamePasswordAuthenticator(user, password);
  try {
    nkeys.fromSeed(utf8(secret));
  } catch {
    throw new Error(`${file} holds no credentials for NATS: the seed of an nkey, a .creds file, or USER:PASSWORD`);
  }
  return nkeyAuthenticator(utf8(secret));
}
