import { parsePort } from "../parse.ts";
import { flag, inputOf, json, text, value, type InputOf } from "../verb.ts";

export const demoInput = inputOf(
  {},
  {
    once: flag("--once", "end after the verified settlement"),
    cheat: text("--cheat <name>", "with an owner who cheats in this way, found and convicted; 'list' names them"),
    data: text("--data <dir>", "where it lives"),
    port: value("--port <port>", "of the broker", parsePort),
    json,
  },
);
export type DemoInput = InputOf<typeof demoInput>;
export const doctorInput = inputOf({}, { json });
export type DoctorInput = InputOf<typeof doctorInput>;
export const versionInput = inputOf({}, { all: flag("--all", "of every part"), json });
export type VersionInput = InputOf<typeof versionInput>;
export const completionInput = inputOf({}, {});
