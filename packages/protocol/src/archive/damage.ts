/** What is wrong with an archive, in words. */

/** The bytes are no archive that is read here; the message says why, without its name. */
export class TarDamage extends Error {
  override name = "TarDamage";
}

/** What is in question may not be text. */
export const shown = (name: string): string =>
  Buffer.from(name.slice(0, 200), "latin1").toString("utf8").replace(/\p{C}/gu, "?").slice(0, 100);
