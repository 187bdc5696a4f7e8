/** Of owners: what runs on the machine that is rented out. What each takes is loaded when it is used. */
import { group, verb, type Verb } from "../input/verb.ts";

const ownerTakes = () => import("../input/verbs/owner.ts");

export const OWNERS: readonly Verb[] = [
  verb(
    "serve",
    "offer this machine",
    async () => (await ownerTakes()).serveInput,
    async (given) => (await import("../verbs/serve.ts")).serve(given),
  ),
  group("server", "the xenoserver running here", [
    verb(
      "status",
      "",
      async () => (await ownerTakes()).serverInput,
      async (given) => (await import("../verbs/server.ts")).serverCommand(given, "status"),
    ),
    verb(
      "reread",
      "xenoserver.toml again, as SIGHUP does",
      async () => (await ownerTakes()).serverInput,
      async (given) => (await import("../verbs/server.ts")).serverCommand(given, "reread"),
    ),
    verb(
      "drain",
      "take no new leases, until --undo",
      async () => (await ownerTakes()).serverDrainInput,
      async (given) => (await import("../verbs/server-drain.ts")).serverDrain(given),
    ),
    verb(
      "stop",
      "drain and end; guests of running leases first",
      async () => (await ownerTakes()).serverStopInput,
      async (given) => (await import("../verbs/server.ts")).serverCommand(given, given.now ? "stop-now" : "stop"),
    ),
    verb(
      "retire",
      "drain, end, and leave the market",
      async () => (await ownerTakes()).serverInput,
      async (given) => (await import("../verbs/server.ts")).serverCommand(given, "retire"),
    ),
  ]),
  group("abuse", "complaints about what came from this machine", [
    verb(
      "trace",
      "which lease was behind a connection to ADDRESS[:PORT]",
      async () => (await ownerTakes()).abuseTraceInput,
      async (given) => (await import("../verbs/abuse-trace.ts")).abuseTrace(given),
    ),
  ]),
];
