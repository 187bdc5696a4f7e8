/** The settings that hold now: as the file was when it was last read and right. Who controls the inputs: the owner of the machine. */
import { assertStillThere } from "@xenoservers/protocol/settings-file";
import { readServerConfig, type ServerConfig } from "./config.ts";
import { planReread, type Reread } from "./reread.ts";

export interface Settings {
  readonly now: ServerConfig;
  /** Throws what is wrong with the file, and nothing has changed then; one that has gone since is no wish for all defaults. */
  reread(): Promise<Reread>;
}

export async function openSettings(file: string): Promise<Settings> {
  let now = await readServerConfig(file);
  return {
    get now() {
      return now;
    },
    async reread() {
      await assertStillThere(file);
      const reread = planReread(now, await readServerConfig(file));
      now = reread.config;
      return reread;
    },
  };
}
