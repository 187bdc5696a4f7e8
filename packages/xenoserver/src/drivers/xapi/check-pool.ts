/**
 * What stands between an owner's settings and a pool that can be leased, in words, before anything is listed. Nothing is made or changed
 * in the pool, and nothing is sent to a host whose certificate is not written down. Who controls the inputs: the owner (the settings); the
 * pool.
 */
import { convertProblem } from "@xenoservers/guests";
import type { Resources } from "@xenoservers/market";
import type { DriverState } from "../state.ts";
import { PoolConnection } from "./pool-connection.ts";
import { PoolMirror } from "./pool-mirror.ts";
import { PoolNetwork } from "./pool-network.ts";
import { HTTPS_PORT, engineOf, knownMark, passwordIn, poolFolder, type PoolSettings } from "./open-pool.ts";
import { PoolSession } from "./pool-session.ts";
import { Pool } from "./pool.ts";
import { isCode, XapiError } from "./xapi-error.ts";
import { NO_REF, zNothing } from "./xapi-records.ts";
import { xapiState } from "./xapi-state.ts";

/** Whoever looks waits for nobody. */
const TRIES_MAX = 3;
/** What a lease needs, each of which is asked for of nothing: a pool looks at rights before it looks for what is named. */
const NEEDED: readonly [method: string, ...params: unknown[]][] = [
  ["VM.clone", NO_REF, "xenoserver"],
  ["VM.start", NO_REF, false, false],
  ["VM.hard_shutdown", NO_REF],
  ["VM.pause", NO_REF],
  ["VM.pool_migrate", NO_REF, NO_REF, {}],
  ["VM.destroy", NO_REF],
  ["VDI.clone", NO_REF, {}],
  ["VDI.resize", NO_REF, 0],
  ["VDI.destroy", NO_REF],
];
const OF_STORAGE = ["vdi_create", "vdi_clone", "vdi_resize", "vdi_destroy"];

const keptGibOf = ({ image_gib: images, snapshots_gib: snapshots }: PoolSettings): number => images + snapshots;

const wordsOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** What `look` finds wrong: what it throws, or says. */
async function said(look: () => string | null | Promise<string | null>): Promise<string[]> {
  try {
    const problem = await look();
    return problem === null ? [] : [problem];
  } catch (error) {
    return [wordsOf(error)];
  }
}

async function rightsProblem({ session }: Pool): Promise<string | null> {
  const denied: string[] = [];
  for (const [method, ...params] of NEEDED)
    await session.call(zNothing, method, ...params).catch((error: unknown) => {
      if (isCode(error, "RBAC_PERMISSION_DENIED")) denied.push(method);
      else if (!(error instanceof XapiError)) throw error;
    });
  return denied.length === 0 ? null : `xapi.user may not do ${denied.join(", ")}: it needs the role VM Admin`;
}

/** The master may be any of them tomorrow. */
async function hostsProblem(pool: Pool, connection: PoolConnection): Promise<string | null> {
  const hosts = [...pool.mirror.of("host").values()];
  const missing = await Promise.all(
    hosts.map(async ({ address }) => {
      const found = await connection.rpc(address, "pool.get_all", []).catch((error: unknown) => error);
      return found instanceof Error && !(found instanceof XapiError) ? [wordsOf(found)] : [];
    }),
  );
  return missing.flat().join("; ") || null;
}

function storageProblem(pool: Pool, { snapshots_gib: snapshots }: PoolSettings): string | null {
  const sr = pool.mirror.of("sr").get(pool.sr);
  if (!sr) return null;
  if (pool.hosts().size === 0) return `no host sees the storage ${sr.name_label}: plug it (xe pbd-plug)`;
  const lacks = [...OF_STORAGE, ...(snapshots > 0 ? ["vdi_snapshot"] : [])].filter((each) => !sr.allowed_operations.includes(each));
  return lacks.length === 0
    ? null
    : `the storage ${sr.name_label} does not do ${lacks.join(", ")} now: no image can become a template on it`;
}

function roomProblem({ vcpu, memoryMib, diskMib }: Resources, keptGib: number): string | null {
  const disk = `disk beside the ${keptGib} GiB that xapi.image_gib and xapi.snapshots_gib keep`;
  const none = [...(vcpu < 1 ? ["processors"] : []), ...(memoryMib < 1 ? ["memory"] : []), ...(diskMib < 1 ? [disk] : [])];
  return none.length === 0 ? null : `no host that is live, in service and sees the storage has room for a lease: no ${none.join(", no ")}`;
}

async function problemsIn(pool: Pool, connection: PoolConnection, settings: PoolSettings): Promise<string[]> {
  const { network } = settings;
  const storage = await said(() => storageProblem(pool, settings));
  return [
    ...(await said(() => rightsProblem(pool))),
    ...(await said(() => hostsProblem(pool, connection))),
    ...storage,
    ...(network ? await said(() => (new PoolNetwork(pool, network).ref, null)) : []),
    ...(storage.length > 0 ? [] : await said(() => roomProblem(pool.capacity(), keptGibOf(settings)))),
  ];
}

/** `folder`: the server's, by which its own machines are told from others', and where a qcow2 image would be converted. */
export async function checkPool(settings: PoolSettings, folder: string, wait: (ms: number) => Promise<void>): Promise<DriverState> {
  const { hostname, port } = new URL(settings.url);
  const connection = new PoolConnection(port === "" ? HTTPS_PORT : Number(port), settings.fingerprints);
  const login = { host: hostname, user: settings.user, password: () => passwordIn(settings.password_file) };
  const session = new PoolSession(connection, login, wait, { triesMax: TRIES_MAX });
  const mirror = new PoolMirror(session, wait, () => {});
  try {
    await mirror.start();
    const mark = (await knownMark(poolFolder(folder))) ?? "";
    const pool = new Pool({ session, mirror, mark, sr: settings.sr, keptGib: keptGibOf(settings), wait });
    const problems = await problemsIn(pool, connection, settings);
    if (problems.length > 0) return xapiState({ ok: false, why: problems.join("; ") });
    const [about] = mirror.of("pool").values();
    const noConvert = await convertProblem(folder);
    const state = xapiState({ ok: true, pool: about?.name_label ?? "", hosts: mirror.of("host").size, engine: engineOf(pool) });
    const { vcpu, memoryMib } = pool.capacity();
    return { ...state, reason: `${state.reason}${noConvert === null ? "" : `; no qcow2 images: ${noConvert}`}`, room: { vcpu, memoryMib } };
  } catch (error) {
    return xapiState({ ok: false, why: wordsOf(error) });
  } finally {
    await mirror.close();
    await session.close();
  }
}
