/** What a page does for its market: it holds what was sent and signed as long as it is open, and keeps nothing. */
import type { MarketClient } from "../client.ts";
import { InputError, KeptError } from "../errors.ts";
import type { BuiltWork } from "../built.ts";
import { leaseOfFiled } from "../filed-lease.ts";
import type { FilesPlace, Here } from "../facade/here.ts";
import { fetchReceipt } from "../receipt.ts";
import { LEASE_ID, shortId } from "../words.ts";
import { notHere } from "./not-here.ts";
import { assertHere, planInPage } from "./plan.ts";

/** Jobs that are held; what was sent earliest goes. */
const JOBS_MAX = 32;

/** Hears what the client signs. `isLoaded`: what is beyond one lease at a time. */
export function hereOf(client: MarketClient, isLoaded: boolean): Here {
  const jobs = new Map<string, BuiltWork>();
  const signed = new Map<string, string[]>();
  const told = client.onFiled;
  client.onFiled = (filed) => {
    const lease = leaseOfFiled(filed);
    if (lease !== null) signed.set(lease, [...(signed.get(lease) ?? []), filed.document.id]);
    told(filed);
  };
  const signedAbout = async (lease: string): Promise<string[]> => signed.get(lease) ?? [];
  return {
    filesPlace: async ({ leaveFiles = false, ...options }): Promise<FilesPlace> => {
      assertHere(options, isLoaded);
      return { files: leaveFiles ? "left" : "held", write: async () => {} };
    },
    plan: (input) => planInPage(input, isLoaded),
    keepJob: async (job) => {
      jobs.set(job.jobHash, job);
      const [oldest] = jobs.keys();
      if (jobs.size > JOBS_MAX && oldest !== undefined) jobs.delete(oldest);
    },
    keptJob: async (jobHash) => {
      const job = jobs.get(jobHash);
      if (!job)
        throw new KeptError(`this page does not hold the job (${shortId(jobHash)}): it was sent from elsewhere, or before it was opened`);
      return job;
    },
    keepReceipt: fetchReceipt,
    runs: { keep: async () => {}, read: async () => null, receipt: async () => null, signedAbout },
    keepBroken: async () => {},
    signedAbout,
    mapJournal: () => Promise.reject(notHere("resume")),
    keptReceipt: async (id) => {
      if (!LEASE_ID.test(id)) throw new InputError(`'${id}' is no lease's id, and a page has no files: hand the receipt itself in`);
      const lease = await client.read("lease", { params: { id } });
      if (!lease.id.startsWith(id)) throw new KeptError(`the broker's answer is of lease ${shortId(lease.id)}, not of ${shortId(id)}`);
      return fetchReceipt(client, lease.id);
    },
  };
}
