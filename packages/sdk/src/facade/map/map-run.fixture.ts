/** What tests of maps on a market of paper share. */
import { MapJournal, type JournalEntry } from "./journal.ts";
import { MapRun } from "./map-run.ts";
import { mapSettingsOf, placed, type MapOptions, type Mapped } from "./options.ts";
import { digestOf, type PaperWays } from "./paper-ways.fixture.ts";

/** Each input is ordered by itself, for ten nanos. */
export const run = (ways: PaperWays, inputs: readonly (string | number)[], options: MapOptions = {}): MapRun<string | number> =>
  new MapRun(ways, inputs, (input) => placed({ budget: 10n }, input), mapSettingsOf(options));
/** What each printed, `!` before failures; `-`: nothing came. */
export const words = (all: readonly Mapped<unknown>[]): string[] =>
  all.map(({ ok, result }) => `${ok ? "" : "!"}${result?.stdout.trim() ?? "-"}`);
export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** What the journal has of these inputs. */
export async function lines({ place, owner }: PaperWays, inputs: readonly (string | number)[]): Promise<JournalEntry[]> {
  const journal = await MapJournal.open(place, owner);
  return inputs.map((input) => journal.take(digestOf(String(input))));
}

/** Nothing more happens by itself. */
export async function quiet(): Promise<void> {
  for (let i = 0; i < 20; i++) await settled();
}
