/**
 * How a broker comes to its keys at the start: those of its folder where they are the log's, new ones where neither keys nor log are there
 * yet, and a refusal in words everywhere else. New keys lie under another name until their log has begun, so that a start which was cut off
 * in between is gone on with, and keys whose log is missing are noticed.
 */
import { rename } from "node:fs/promises";
import type { Crypto } from "@xenoservers/protocol";
import { brokerKeysIn, keysFile, makeBrokerKeys, type LoadedKeys } from "./broker-keys.ts";
import { keysProblem, marketOf } from "./log/own-log.ts";
import type { Store } from "./store/store.ts";

interface StartKeys {
  loaded: LoadedKeys;
  /** To be called once their log has begun. */
  begun(): Promise<void>;
}

const OTHER_FOLDER = "nothing was signed. Put that market's broker-keys.json (from its data folder, or from its host) into";

/** Throws, in words, where the keys in the folder and the log in the database are not of one market. */
export async function keysAtStart(dataFolder: string, name: string, store: Store, crypto: Crypto): Promise<StartKeys> {
  const file = keysFile(dataFolder);
  const unborn = `${file}.new`;
  const head = await store.logHead();
  const kept = await brokerKeysIn(file);
  if (kept && !head) {
    const why = `${dataFolder} holds the keys of ${kept.origin}, whose log is not in the database; nothing was signed`;
    const lost = "If the database is lost: `xeno broker restore` a backup into an empty folder; a new market takes an empty folder too";
    throw new Error(`${why}. Is DATABASE_URL right? ${lost}`);
  }
  const loaded = kept ?? (await brokerKeysIn(unborn));
  if (head) {
    const instead = `${OTHER_FOLDER} ${dataFolder}; for a new market, use an empty database`;
    if (!loaded) throw new Error(`the database holds the market ${marketOf(head)}, whose keys are not in ${dataFolder}; ${instead}`);
    const problem = await keysProblem(store, crypto, head, loaded);
    if (problem !== null) throw new Error(`${problem}; ${instead}`);
  }
  return {
    loaded: loaded ?? (await makeBrokerKeys(unborn, name)),
    begun: async () => (kept ? undefined : rename(unborn, file)),
  };
}
