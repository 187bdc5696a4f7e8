/** `xeno serve`: an owner's machine. */
import { hostname } from "node:os";
import { DRIVERS, isDriver } from "@xenoservers/market";
import { pino } from "pino";
import * as z from "zod/mini";
import { assertFolderFor } from "@xenoservers/sdk";
import type { ServeInput } from "../input/verbs/owner.ts";
import { configFileOf } from "../local/config-file.ts";
import { installUnit } from "../local/install-unit.ts";
import { assertLinux } from "../local/right-system.ts";
import { ownFolder } from "../local/local-socket.ts";
import { onHangup, rereadWords } from "../local/on-hangup.ts";
import { serverFolder } from "../local/server-folder.ts";
import { untilTold } from "../local/until-told.ts";
import { logLines, print, say } from "../output/terminal.ts";
import { UserError } from "../output/ui.ts";

/** As an owner's machine is called where it has no name of its own. */
const NAME_MAX = 64;

export async function serve({ data, config, enrol, enroll, check, install, json, metricsPort }: ServeInput): Promise<void> {
  assertLinux("serve");
  const folder = serverFolder(data);
  const configFile = await configFileOf(folder, "xenoserver.toml", config);
  if (check) return (await import("./serve-check.ts")).checkMachine(folder, configFile, json);
  await assertFolderFor(folder, "--data, XENO_HOME");
  if (install) return installUnit(folder, configFile, metricsPort);
  const program = await import("@xenoservers/xenoserver");
  const token = enrol ?? enroll;
  if (token !== null) {
    const identity = await program.enrol(folder, token, hostname().slice(0, NAME_MAX) || "server");
    say(`enrolled for ${identity.owner} at ${identity.url}; this machine holds no key that can pay out`);
  }
  if (!(await program.readIdentity(folder)))
    throw new UserError("this machine is not enrolled; run `xeno serve --enrol TOKEN` with a token from `xeno token create --server`");
  await runDaemon(program, { folder, configFile, json, metricsPort });
}

type Program = typeof import("@xenoservers/xenoserver");
type Daemon = Awaited<ReturnType<Program["startDaemon"]>>;

interface Running extends Pick<ServeInput, "json" | "metricsPort"> {
  folder: string;
  configFile: string;
}

async function runDaemon({ startDaemon, hoursShown }: Program, { folder, configFile, json, metricsPort }: Running): Promise<void> {
  const logger = pino({ level: process.env["LOG_LEVEL"] ?? "info" }, logLines);
  const told = Promise.withResolvers<string>();
  let daemon: Daemon | null = null;
  const stopHearing = onHangup(() => {
    // one that starts reads it anyway
    if (daemon) void reread(daemon).catch((error: unknown) => logger.error({ error: wordsOf(error) }, "xenoserver.toml was not reread"));
  });
  const lock = await ownFolder(folder, "a xenoserver", async (request) =>
    daemon ? { ...(await answerTo(daemon, request, told.resolve)), hours: hoursShown(daemon.config, new Date()) } : { state: "starting" },
  );
  daemon = await startDaemon({
    folder,
    configFile,
    metrics: metricsPort === null ? undefined : { host: "127.0.0.1", port: metricsPort },
    startsApart: true,
    log: (what, facts) => logger.info(facts, what),
    onRefused: (why) => {
      say(`the broker refused this server: ${why}`);
      told.resolve("refused");
    },
  });
  print(json ? JSON.stringify({ server: daemon.server.id }) : `${daemon.server.id} serves ${daemon.identity.url}`);
  if (daemon.metricsUrl !== null) say(`metrics: ${daemon.metricsUrl}`);
  for (const { name, present, reason } of daemon.test.drivers) {
    const announcedAs = isDriver(name) ? DRIVERS[name].announcedAs : null;
    if (announcedAs !== null) say(`${announcedAs}: ${present ? "" : "none. "}${reason}`);
  }
  const hours = hoursShown(daemon.config, new Date());
  if (hours !== null) say(`listed only ${hours}`);
  if (daemon.server.state.draining) say("drained: it takes no new leases until `xeno server drain --undo`");
  const how = await Promise.race([untilTold(), told.promise]);
  await drain(daemon, how);
  lock.close();
  await daemon.close();
  stopHearing();
}

const wordsOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** What came of it, in the owner's words. */
async function reread(daemon: Daemon): Promise<string[]> {
  const lines = rereadWords(await daemon.reread());
  say(...lines.map((line) => `xenoserver.toml reread: ${line}`));
  return lines;
}

/** Where leases go. */
const zTarget = z.object({ server: z.string(), host: z.string(), port: z.number() });

/** What would not leave for another server now, and why, in words. */
const stayingHere = ({ server }: Daemon): { lease: string; why: string }[] =>
  [...server.moves.problems()].flatMap(([lease, why]) => (why === null ? [] : [{ lease, why }]));

/** What `xeno server` asks of the running daemon. */
async function answerTo(daemon: Daemon, request: Record<string, unknown>, stop: (how: string) => void): Promise<Record<string, unknown>> {
  const { server, test } = daemon;
  const command = String(request["command"]);
  const { data: target } = zTarget.safeParse(request["to"]);
  if (command === "drain" && target) return { ...(await daemon.drainTo(target)), ...server.state };
  if (command === "moves") return { ...server.state, stay: stayingHere(daemon) };
  if (command === "reread") return { ...server.state, reread: await reread(daemon) };
  if (command === "drain" || command === "undrain") await daemon.setDrained(command === "drain");
  else if (command === "stop-now") await server.stopNow();
  else if (command === "stop" || command === "retire") await server.drain();
  if (["stop", "stop-now", "retire"].includes(command)) stop(command);
  const { moveListen } = daemon;
  const moves = command === "status" && moveListen !== null && !server.state.draining ? { moveListen } : {};
  const standing = command === "status" && server.state.connected ? await daemon.standing() : null;
  return { ...server.state, cpuScore: test.cpuScore, ...moves, ...(standing ? { standing } : {}) };
}

async function drain({ server, config }: Daemon, how: string): Promise<void> {
  if (how !== "SIGTERM" && how !== "SIGINT") return say(`ending: ${how}`);
  say(`draining for at most ${config.drain_seconds} s; guests run on and are found again`);
  const timeIsUp = new Promise((resolve) => setTimeout(resolve, config.drain_seconds * 1_000));
  await Promise.race([server.drain(), timeIsUp, untilTold()]);
}
