/** Signing and checking the same thing again costs nothing: thousands of forgeries share most of their documents. */
import { concatBytes, fromHex, toHex, type Signer } from "@xenoservers/protocol";
import type { Tools } from "./cast.ts";

const ENTRIES_MAX = 200_000;

function remember<V>(known: Map<string, V>, key: string, make: () => V): V {
  const before = known.get(key);
  if (before !== undefined) return before;
  if (known.size >= ENTRIES_MAX) known.clear();
  const value = make();
  known.set(key, value);
  return value;
}

export function cached({ crypto, createSigner }: Tools): Tools {
  const checked = new Map<string, boolean>();
  const signatures = new Map<string, Uint8Array>();
  const name = (key: string, ...parts: readonly Uint8Array[]): string =>
    toHex(crypto.sha256(concatBytes(fromHex(key) ?? new Uint8Array(), ...parts)));
  return {
    crypto: {
      ...crypto,
      verify: (key, message, signature) =>
        remember(checked, `${key} ${name(key, message, signature)}`, () => crypto.verify(key, message, signature)),
    },
    createSigner(seed): Signer {
      const signer = createSigner(seed);
      const { publicKey } = signer;
      return { publicKey, sign: (message) => remember(signatures, name(publicKey, message), () => signer.sign(message)) };
    },
  };
}
