/** The customer's side, as a page and a program on Node have it. */
export { MarketClient, fetchMarket, type Filed, type ReadName } from "./client.ts";
export {
  AbortedError,
  ContextError,
  InputError,
  InUseError,
  KeptError,
  MarketError,
  RefusedError,
  SDK_CODES,
  type MoneyEffect,
  type SdkCode,
} from "./errors.ts";
export { allOf, eventsOf, listOf, pagesOf } from "./lists.ts";
export { openLink } from "./connect.ts";
export { fetchFrom } from "./fetch-from.ts";
export { pinsOf } from "@xenoservers/protocol/link";
export { fingerprintOf, samePins } from "@xenoservers/protocol";
export { formatCiToken, parseCiToken, zSeed, type CiToken } from "./ci-token.ts";
export { channelKeyFor, channelSecretOf, identityOf, type Identity } from "./identity.ts";
export { forgetting, hasBreakpoints, type BuiltWork } from "./built.ts";
export { buildJob, builtJob, type BuiltJob, type JobInput } from "./job.ts";
export { driverOf, isAuditedRun, quoteFor, signOrder, type Quoted, type Wanted } from "./order.ts";
export { BrokenPurchaseOrder, checkBound, fetchBound, worldOf, type BoundOrder } from "./purchase-order.ts";
export { placeOrder, placeReplicas } from "./placing.ts";
export { NoLongerWaiting, untilBound, type WhileWaiting } from "./waiting.ts";
export type { Withdrawn } from "./withdrawn.ts";
export { LeaseSession, type SessionHandlers } from "./session/lease-session.ts";
export { openSession, openSessions } from "./session/open-session.ts";
export { NotDelivered } from "./session/fetches.ts";
export type { Delivered, TreeFile } from "./session/result.ts";
export type { Stream } from "./session/streams.ts";
export { firstDifference, segmentJob, type Trace } from "./segment.ts";
export { fetchReceipt, isLogged, readDocuments } from "./receipt.ts";
export { bytesBlob, type Blob, type SourceEntry } from "./blob.ts";
export { VM_DRIVER, VM_OVERHEAD_MIB, VmProblem, assembleVm, buildVm, builtVm, type BuiltVm, type VmInput } from "./vm.ts";
export { memoryMibAtStart } from "./module-memory.ts";
export { PYTHON, moduleSizeOf, runtimeBlob } from "./runtimes.ts";
export { disputeResults, type Judged, type TraceHere } from "./dispute.ts";
export { assertAuditDue, dueAudits, isAuditDue } from "./audit-due.ts";
export { auditLease, drawnAudit, followUp, type Audit } from "./audits.ts";
export { ReplicasRun, type Compared, type ReplicasWatch } from "./replicas.ts";
export { appealVerdict, convictionOf, type Conviction } from "./dispute-appeal.ts";
export type { RefereeRun } from "./dispute-run.ts";
export { disputeTerms, type DisputeTerms } from "./dispute-terms.ts";
export { accountCalled, accountOf, spendableIn, type AccountView } from "./account.ts";
export { quotesFor, settleWanted } from "./quoting.ts";
export { given } from "./given.ts";
export {
  LEASE_ID,
  conditionsIn,
  mib,
  parseAmount,
  parseBudget,
  parseCount,
  parseDurationMs,
  parseGigaFuel,
  parsePercent,
  parseSizeMib,
  shortId,
} from "./words.ts";
export { WORK_DEFAULTS } from "./work-options.ts";
export { EarlierFailedError, GivenUpError, JobFailedError, LeftOpenError, LeftUndoneError, ReplicasGivenUpError } from "./errors.ts";
export { BrokenWordError, NotComparedError, NotStartedError, StalledError } from "./errors.ts";
export { plainCheck, type ModuleCheck } from "./module-check.ts";
export { type OpenMarket, type Callable, type Found, type SearchOptions } from "./facade/market.ts";
export { totalsByLabel, type LabelTotals } from "./label-totals.ts";
export { AFTER_MAX, untilEndedWell } from "./facade/after.ts";
export { isWorthRetrying } from "./worth-retrying.ts";
export { TOKEN_SCOPES, tokenScopes, type KeyView, type Token, type TokenOptions } from "./facade/tokens.ts";
export type { Balances, BatchOptions, StatementEntry, Wallet } from "./facade/wallet.ts";
export type { Answer, Extended, ObjectionOptions, ObjectionTerms, StopOptions } from "./facade/lease-acts.ts";
export { type Job } from "./facade/job.ts";
export { PreparedRun } from "./facade/prepared-run.ts";
export { type PlannedOptions } from "./facade/ordering.ts";
export type { Planned } from "./facade/here.ts";
export type { Bill, JobResult } from "./facade/job-result.ts";
export type { JobFile } from "./facade/job-files.ts";
export type { Chunk, Output } from "./facade/output.ts";
export type { FileContent, RunInput, Watching } from "./facade/run-input.ts";
