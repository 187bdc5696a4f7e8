/** What is wrong with an archive, in words. */

/** The bytes are no archive that is read here; the message says why, without its name. */
export class TarDamage extends Error {
  override name = "TarDamage";
}

const lossy = new TextDecoder("utf-8", { ignoreBOM: true });

/** What is in question may not be text. */
export const shown = (name: string): string =>
  lossy
    .decode(Uint8Array.from(name.slice(0, 200), (each) => each.charCodeAt(0)))
    .replace(/\p{C}/gu, "?")
    .slice(0, 100);
