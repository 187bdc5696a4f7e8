export { MarketClient, fetchMarket, type Filed, type ReadName } from "./client.ts";
export {
  AbortedError,
  ContextError,
  InputError,
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
export { channelKeyFor, channelSecretOf, fingerprintOf, identityOf, samePins, type Identity } from "./identity.ts";
export { hasBreakpoints, type BuiltWork } from "./built.ts";
export { buildJob, builtJob, type BuiltJob, type JobInput } from "./job.ts";
export { driverOf, isAuditedRun, quoteFor, signOrder, type Quoted, type Wanted } from "./order.ts";
export { BrokenPurchaseOrder, checkBound, fetchBound, worldOf, type BoundOrder } from "./purchase-order.ts";
export { placeOrder, placeReplicas } from "./placing.ts";
export { NoLongerWaiting, untilBound, type WhileWaiting } from "./waiting.ts";
export type { Withdrawn } from "./withdrawn.ts";
export { LeaseSession, type SessionHandlers } from "./session/lease-session.ts";
export { openSession, openSessions } from "./session/open-session.ts";
export { GuestProgram, type ProgramEnd, type ProgramWanted, type WindowSize } from "./guest/program.ts";
export { isWithoutShell } from "./guest/without-shell.ts";
export { GuestFileError, GuestFiles, type GuestEntry } from "./guest/files.ts";
export { copyIn, type CopyOptions, type CopyProgress } from "./guest/copy-in.ts";
export { copyOut } from "./guest/copy-out.ts";
export { takePicture } from "./guest/screen/picture.ts";
export { openScreenPort, type ScreenPort } from "./guest/screen/screen-port.ts";
export { newPassword, passwordFile } from "./guest/screen/vnc-password.ts";
export { roomIn } from "./room.ts";
export { NotDelivered } from "./session/fetches.ts";
export type { Delivered, TreeFile } from "./session/result.ts";
export type { Stream } from "./session/streams.ts";
export { firstDifference, segmentJob, type Trace } from "./segment.ts";
export { fetchReceipt, isLogged } from "./receipt.ts";
export { bytesBlob, fileBlob, readTree, type Blob, type SourceEntry } from "./tree.ts";
export { writeTree } from "./write-tree.ts";
export { VM_DRIVER, VM_OVERHEAD_MIB, VmProblem, assembleVm, buildVm, builtVm, type BuiltVm, type VmInput } from "./vm.ts";
export { lookAtAddress } from "./oci/address.ts";
export { openImage, type ImageWatch, type OciImage } from "./oci/image.ts";
export { isOnThisMachine } from "./oci/on-this-machine.ts";
export { OciError } from "./oci/source.ts";
export { parseReference } from "./oci/reference.ts";
export { memoryMibAtStart } from "./module-memory.ts";
export { PYTHON, moduleSizeOf, runtimeBlob } from "./runtimes.ts";
export { disputeResults, type TraceHere } from "./dispute.ts";
export { appealVerdict } from "./dispute-appeal.ts";
export type { RefereeRun } from "./dispute-run.ts";
export { disputeTerms, type DisputeTerms } from "./dispute-terms.ts";
export { accountCalled, accountOf, type AccountView } from "./account.ts";
export { quotesFor, settleWanted } from "./quoting.ts";
export { given } from "./given.ts";
export {
  conditionsIn,
  mib,
  parseAmount,
  parseCount,
  parseDurationMs,
  parseGigaFuel,
  parsePercent,
  parseSizeMib,
  shortId,
} from "./words.ts";
export { home } from "./node/home.ts";
export {
  clientFor,
  clientOf,
  currentContext,
  dropContext,
  readContexts,
  saveContext,
  scopeProblem,
  tokenContext,
  type Context,
} from "./node/contexts.ts";
export { formatCiToken, parseCiToken, zSeed, type CiToken } from "./node/ci-token.ts";
export { keptDocuments, missingIn } from "./node/kept-documents.ts";
export {
  keepJob,
  readKeptJob,
  readKeptVm,
  rebuildJob,
  rebuilt,
  type Kept,
  type KeptJob,
  type KeptVm,
  type KeptWork,
} from "./node/kept-job.ts";
export { keptPromises } from "./node/kept-promises.ts";
export { LEASE_ID, keepReceipt, readReceipt } from "./node/kept-receipt.ts";
export { EMPTIED, KEPT_BYTES_MAX } from "./node/kept-room.ts";
export { filesBelow } from "./node/files-below.ts";
export { assertPlaceFor, placeProblem } from "./node/place-here.ts";
export { shellWord } from "./node/shell-word.ts";
export { bootsMachine } from "./node/machine-job.ts";
export { finishJob, parseJob, type ParsedJob, type SharedFolder } from "./node/program-job.ts";
export { workOf, type Work } from "./node/work.ts";
export { WORK_DEFAULTS } from "./work-options.ts";
export { filesIn, writeResults } from "./node/results.ts";
export { keepBroken, verifyKept } from "./node/broken-order.ts";
export { Market, type ConnectOptions } from "./node/market.ts";
export { plainCheck, type ModuleCheck } from "./node/module-check.ts";
export { type OpenMarket, type Callable, type Found, type SearchOptions } from "./facade/market.ts";
export { type Bill, type Job, type JobResult } from "./facade/job.ts";
export type { JobFile } from "./facade/job-files.ts";
export type { Chunk, Output } from "./facade/output.ts";
export type { FileContent, RunInput } from "./facade/run-input.ts";
export { GivenUpError, NotStartedError, StalledError } from "./errors.ts";
export { agentExec } from "./guest/agent-exec.ts";
export { agentCopyIn, agentCopyOut } from "./guest/agent-copy.ts";
export { NO_OUTPUT, machineProblem } from "./node/machine/hold.ts";
export { forwardPort, type PortForward } from "./node/machine/port-forward.ts";
export { forkMachine, takeSnapshot, type HeldMachine } from "./node/machine/fork.ts";
export { type ExecResult, type Machine, type ProgramOptions } from "./node/machine/machine.ts";
export type { MachineFiles } from "./node/machine/machine-files.ts";
