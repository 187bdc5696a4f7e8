/** The public log, for everyone: checkpoint, tiles, proofs. Who controls the inputs: anyone. */
import { concatBytes, refuse, type Envelope } from "@xenoservers/protocol";
import type { Services } from "../desk/round.ts";
import { consistencyProof, inclusionProof, tile } from "../log/proofs.ts";
import { publishedLeaf } from "../log/sequencer.ts";
import type { StoredDocument } from "../store/store.ts";
import { done, type Handlers } from "./handlers.ts";

const BUNDLE_WIDTH = 256;

/** Each entry is led by its length in two bytes. */
const bundleOf = (leaves: readonly Uint8Array[]): Uint8Array =>
  concatBytes(...leaves.flatMap((leaf) => [Uint8Array.of(leaf.length >> 8, leaf.length & 255), leaf]));

const envelopesOf = (documents: readonly StoredDocument[]): Envelope[] => documents.map(({ envelope }) => envelope);

export function createLogReads({
  store,
  crypto,
}: Services): Pick<Handlers, "checkpoint" | "tile" | "inclusion" | "consistency" | "history"> {
  const sizeNow = async (): Promise<number> => (await store.logHead())?.size ?? 0;
  return {
    async checkpoint() {
      const head = await store.logHead();
      return head ? done(head.checkpoint) : refuse("unavailable");
    },
    async tile({ params: { level, "*": rest } }) {
      const refused = refuse("not_found", { tile: `${level.slice(0, 10)}/${rest.slice(0, 60)}` });
      const [whole, digits, part] = /^((?:x\d{3}\/)*\d{3})(?:\.p\/(\d{1,3}))?$/.exec(rest) ?? [];
      if (whole === undefined || digits === undefined) return refused;
      const size = await sizeNow();
      const number = Number(digits.replaceAll(/[x/]/g, ""));
      const width = part === undefined ? BUNDLE_WIDTH : Number(part);
      if (level === "entries") {
        const from = number * BUNDLE_WIDTH;
        if (width < 1 || width > BUNDLE_WIDTH || from + width > size) return refused;
        return done(bundleOf((await store.logEntries(from, from + width)).map((document) => publishedLeaf(crypto, document))));
      }
      const bytes = /^\d$/.test(level) ? await tile(store, Number(level), number, width, size) : null;
      return bytes ? done(bytes) : refused;
    },
    async inclusion({ query: { leaf, size } }) {
      const proof = size <= (await sizeNow()) ? await inclusionProof(store, crypto, leaf, size) : null;
      return proof ? done(proof) : refuse("not_found", { leaf });
    },
    async consistency({ query: { from, to, epoch } }) {
      const heads = await store.logHeads();
      const head = epoch === undefined ? heads.at(-1) : heads.find(({ id }) => id === epoch);
      if (!head || from > to || to > head.size) return refuse("not_found", { size: head?.size ?? 0 });
      return done({ proof: await consistencyProof(store, crypto, from, to, head.epoch) });
    },
    async history() {
      const keySets = await store.documentsOfKind("market-keys");
      const epochs = await store.documentsOfKind("epoch");
      const witnesses = await store.documentsOfKind("witness");
      return done({
        keySets: envelopesOf(keySets),
        epochs: epochs.map(({ envelope, at }) => ({ envelope, at })),
        witnesses: envelopesOf(witnesses),
      });
    },
  };
}
