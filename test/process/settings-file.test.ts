/** A broker by its settings file, which it reads again when it is told to: as an operator's service manager does both. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { placeDatabase } from "../shared.ts";
import { until } from "../until.ts";
import { command, started } from "./command.ts";

let home: string;
beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), "xeno-settings-"));
});
afterEach(() => rm(home, { recursive: true, force: true }));

it("begins as it says, takes over what can change on SIGHUP or `xeno broker reread`, and says what waits for the next start", async () => {
  const folder = path.join(home, "broker");
  await placeDatabase(folder);
  const file = path.join(folder, "xenocorp.toml");
  await writeFile(file, 'port = 0\nname = "tolls.example"\nkeep_events = "2h"\nmetrics_port = 0\n');
  let said = "";
  const { child, done } = started(home, ["broker", "--data", folder, "--json", "--keep-answers", "3d"], (text) => (said += text));
  const says = async (words: string): Promise<void> => {
    await until(() => said.includes(words) || child.exitCode !== null);
    expect(said).toContain(words);
  };
  const hangUp = async (toml: string, words: string): Promise<void> => {
    await writeFile(file, toml);
    child.kill("SIGHUP");
    await says(words);
  };
  try {
    await says("metrics      http://127.0.0.1:");
    // what waits for its answer is heard by who starts, too
    await hangUp('port = 0\nname = "tolls.example"\nkeep_events = "two hours"\n', 'keep_events: \\"two hours\\": write a duration');
    await hangUp('port = 1\nname = "tolls.example"\nkeep_events = "3h"\nkeep_answers = "9d"\n', "reread: changed: keep_events");
    await says("reread: from the next start on: port, metrics_port");
    // the same by a verb, which says what came of it where it is asked
    const reread = (...more: string[]) => command(home, "broker", "reread", "--data", folder, ...more);
    expect(await reread()).toEqual({
      code: 0,
      stdout: "nothing that can change while it runs is different\nfrom the next start on: port, metrics_port\n",
      stderr: "",
    });
    await writeFile(file, 'port = 0\nname = "tolls.example"\nkeep_events = "4h"\nlog_level = "debug"\nmetrics_port = 0\n');
    const { code, stdout } = await reread("--json");
    expect([code, JSON.parse(stdout)]).toEqual([0, { changed: ["keep_events", "log_level"], later: [] }]);
    await says("reread: changed: keep_events, log_level");
    await writeFile(file, "port = 0\nkeep_event = 1\n");
    expect(await reread()).toMatchObject({ code: 125, stdout: "", stderr: expect.stringContaining("keep_event") });
    await rm(file);
    child.kill("SIGHUP");
    await says("is not there: an empty one has all defaults; nothing has changed");
  } finally {
    child.kill("SIGTERM");
  }
  const { code, stdout } = await done;
  expect([code, JSON.parse(stdout)]).toMatchObject([0, { origin: expect.stringContaining("tolls.example") }]);
  const nobody = await command(home, "broker", "reread", "--data", folder);
  expect(nobody).toMatchObject({ code: 125, stdout: "", stderr: expect.stringContaining(`no broker runs on ${folder}`) });
});
