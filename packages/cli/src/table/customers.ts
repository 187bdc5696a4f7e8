/** Of customers: who they are, their money, and runs from quote to result. What each takes is loaded when it is used. */
import { group, verb, type Verb } from "../input/verb.ts";

const batchTakes = () => import("../input/verbs/batch.ts");
const contextTakes = () => import("../input/verbs/context.ts");
const keyTakes = () => import("../input/verbs/key.ts");
const leaseTakes = () => import("../input/verbs/lease.ts");
const loginTakes = () => import("../input/verbs/login.ts");
const mapTakes = () => import("../input/verbs/map.ts");
const moneyTakes = () => import("../input/verbs/money.ts");
const runTakes = () => import("../input/verbs/run.ts");
const searchTakes = () => import("../input/verbs/search.ts");
const tokenTakes = () => import("../input/verbs/token.ts");

export const CUSTOMERS: readonly Verb[] = [
  verb(
    "login",
    "pin a market's keys and get an identity in it",
    async () => (await loginTakes()).loginInput,
    async (given) => (await import("../verbs/login.ts")).login(given),
  ),
  group("context", "markets known here", [
    verb(
      "ls",
      "and as whom",
      async () => (await contextTakes()).contextListInput,
      async (given) => (await import("../verbs/context.ts")).contextList(given),
      {
        alias: "list",
      },
    ),
    verb(
      "use",
      "from now on",
      async () => (await contextTakes()).contextUseInput,
      async (given) => (await import("../verbs/context.ts")).contextUse(given),
    ),
  ]),
  verb(
    "whoami",
    "party and keys",
    async () => (await keyTakes()).whoamiInput,
    async (given) => (await import("../verbs/whoami.ts")).whoami(given),
  ),
  group("key", "keys of one's party", [
    verb(
      "list",
      "root keys and delegated ones",
      async () => (await keyTakes()).keyListInput,
      async (given) => (await import("../verbs/key-list.ts")).keyList(given),
      {
        alias: "ls",
      },
    ),
    verb(
      "add",
      "a key for another device",
      async () => (await keyTakes()).keyAddInput,
      async (given) => (await import("../verbs/key-add.ts")).keyAdd(given),
    ),
    verb(
      "rotate",
      "replace the root key",
      async () => (await keyTakes()).keyRotateInput,
      async (given) => (await import("../verbs/key-rotate.ts")).keyRotate(given),
    ),
    verb(
      "revoke",
      "by the first letters of its id, or its label",
      async () => (await keyTakes()).keyRevokeInput,
      async (given) => (await import("../verbs/key-revoke.ts")).keyRevoke(given),
    ),
    verb(
      "backup",
      "all of them into a file",
      async () => (await keyTakes()).keyBackupInput,
      async (given) => (await import("../verbs/key-backup.ts")).keyBackup(given),
    ),
    verb(
      "restore",
      "those of a backup, beside what is here",
      async () => (await keyTakes()).keyRestoreInput,
      async (given) => (await import("../verbs/key-backup.ts")).keyRestore(given),
    ),
  ]),
  group("token", "delegated keys", [
    verb(
      "create",
      "a key with its bounds",
      async () => (await tokenTakes()).tokenCreateInput,
      async (given) => (await import("../verbs/token-create.ts")).tokenCreate(given),
    ),
    verb(
      "list",
      "what was delegated",
      async () => (await tokenTakes()).tokenListInput,
      async (given) => (await import("../verbs/token-list.ts")).tokenList(given),
      {
        alias: "ls",
      },
    ),
    verb(
      "revoke",
      "by the first letters of its id, or its label",
      async () => (await keyTakes()).keyRevokeInput,
      async (given) => (await import("../verbs/key-revoke.ts")).keyRevoke(given),
    ),
  ]),
  verb(
    "wallet",
    "balances and statement",
    async () => (await moneyTakes()).walletInput,
    async (given) => (await import("../verbs/wallet.ts")).wallet(given),
  ),
  group("limits", "spend limits", [
    verb(
      "set",
      "account is an id, a name or 'main'; amount or 'none'",
      async () => (await moneyTakes()).limitsInput,
      async (given) => (await import("../verbs/limits.ts")).limitsSet(given),
    ),
  ]),
  verb(
    "stake",
    "deposit or withdraw an owner's stake, locked lease by lease where customers ask for it; what is not locked can be withdrawn",
    async () => (await moneyTakes()).stakeInput,
    async (given) => (await import("../verbs/stake.ts")).stake(given),
  ),
  group("account", "sub-accounts", [
    verb(
      "create",
      "with a limit of its own",
      async () => (await moneyTakes()).accountCreateInput,
      async (given) => (await import("../verbs/account-create.ts")).accountCreate(given),
    ),
  ]),
  verb(
    "search",
    "servers on offer: 'cpu>=2 mem>=4G region=eu price<0.05'",
    async () => (await searchTakes()).searchInput,
    async (given) => (await import("../verbs/search.ts")).search(given),
  ),
  verb(
    "run",
    "run a .wasm module, a .py script, an OCI image or a whole machine on a rented computer",
    async () => (await runTakes()).runInput,
    async (given) => (await import("../verbs/run.ts")).run(given),
    { program: true },
  ),
  verb(
    "map",
    "run a program on many files, so many at once within one budget: xeno map script.py -- 'data/*.csv'",
    async () => (await mapTakes()).mapInput,
    async (given) => (await import("../verbs/map.ts")).map(given),
    { inputs: true },
  ),
  verb(
    "quote",
    "what a run would cost",
    async () => (await runTakes()).quoteInput,
    async (given) => (await import("../verbs/quote.ts")).quote(given),
    { program: true },
  ),
  group("batch", "one hold for many runs", [
    verb(
      "open",
      "",
      async () => (await batchTakes()).batchOpenInput,
      async (given) => (await import("../verbs/batch-open.ts")).batchOpen(given),
    ),
    verb(
      "close",
      "",
      async () => (await batchTakes()).batchCloseInput,
      async (given) => (await import("../verbs/batch-close.ts")).batchClose(given),
    ),
  ]),
  verb(
    "attach",
    "follow a running job to its end",
    async () => (await leaseTakes()).attachInput,
    async (given) => (await import("../verbs/attach.ts")).attach(given),
  ),
  verb(
    "fetch",
    "bring the files a job left in /out",
    async () => (await leaseTakes()).fetchInput,
    async (given) => (await import("../verbs/lease-result.ts")).fetchFiles(given),
  ),
  verb(
    "ps",
    "running leases and what they cost",
    async () => (await leaseTakes()).psInput,
    async (given) => (await import("../verbs/ps.ts")).ps(given),
    { alias: "ls" },
  ),
  verb(
    "logs",
    "a job's output",
    async () => (await leaseTakes()).logsInput,
    async (given) => (await import("../verbs/logs.ts")).logs(given),
  ),
  verb(
    "events",
    "what happened, durably",
    async () => (await leaseTakes()).eventsInput,
    async (given) => (await import("../verbs/events.ts")).events(given),
  ),
  verb(
    "export",
    "everything the market knows of you",
    async () => (await leaseTakes()).exportInput,
    async (given) => (await import("../verbs/export.ts")).exportAll(given),
  ),
];
