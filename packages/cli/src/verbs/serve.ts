/** `xeno serve`: an owner's machine. */
import { hostname } from "node:os";
import path from "node:path";
import { DRIVERS, isDriver } from "@xenoservers/market";
import { pino } from "pino";
import type { ServeInput } from "../input/verbs/owner.ts";
import { installUnit } from "../local/install-unit.ts";
import { ownFolder } from "../local/local-socket.ts";
import { serverFolder } from "../local/server-folder.ts";
import { untilTold } from "../local/until-told.ts";
import { logLines, print, say } from "../output/terminal.ts";
import { UserError } from "../output/ui.ts";

/** As an owner's machine is called where it has no name of its own. */
const NAME_MAX = 64;

export async function serve({ data, config, enrol, enroll, check, install, json, metricsPort }: ServeInput): Promise<void> {
  const folder = serverFolder(data);
  const configFile = config ?? path.join(folder, "xenoserver.toml");
  if (check) return (await import("./serve-check.ts")).checkMachine(folder, configFile, json);
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

async function runDaemon({ startDaemon }: Program, { folder, configFile, json, metricsPort }: Running): Promise<void> {
  const logger = pino({ level: process.env["LOG_LEVEL"] ?? "info" }, logLines);
  const told = Promise.withResolvers<string>();
  let daemon: Daemon | null = null;
  const lock = await ownFolder(folder, "a xenoserver", async ({ command }) =>
    daemon ? answerTo(daemon, String(command), told.resolve) : { state: "starting" },
  );
  daemon = await startDaemon({
    folder,
    configFile,
    metrics: metricsPort === null ? undefined : { host: "127.0.0.1", port: metricsPort },
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
  const how = await Promise.race([untilTold(), told.promise]);
  await drain(daemon, how);
  lock.close();
  await daemon.close();
}

/** What `xeno server` asks of the running daemon. */
async function answerTo({ server, test }: Daemon, command: string, stop: (how: string) => void): Promise<Record<string, unknown>> {
  if (command === "drain") void server.drain();
  else if (command === "stop-now") await server.stopNow();
  else if (command === "stop" || command === "retire") await server.drain();
  if (["stop", "stop-now", "retire"].includes(command)) stop(command);
  return { ...server.state, cpuScore: test.cpuScore };
}

async function drain({ server, config }: Daemon, how: string): Promise<void> {
  if (how !== "SIGTERM" && how !== "SIGINT") return say(`ending: ${how}`);
  say(`draining for at most ${config.drain_seconds} s; guests run on and are found again`);
  const timeIsUp = new Promise((resolve) => setTimeout(resolve, config.drain_seconds * 1_000));
  await Promise.race([server.drain(), timeIsUp, untilTold()]);
}
