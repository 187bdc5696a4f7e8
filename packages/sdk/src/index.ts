export * from "./common.ts";
export { GuestProgram, type ProgramEnd, type ProgramWanted } from "./guest/program.ts";
export type { WindowSize } from "./guest/window-size.ts";
export { isShellFull, isWithoutShell } from "./guest/without-shell.ts";
export { GuestFileError, GuestFiles, type GuestEntry } from "./guest/files.ts";
export { copyIn, type CopyOptions, type CopyProgress } from "./guest/copy-in.ts";
export { copyOut } from "./guest/copy-out.ts";
export { takePicture } from "./guest/screen/picture.ts";
export { openScreenPort, type ScreenPort } from "./guest/screen/screen-port.ts";
export { newPassword, passwordFile } from "./guest/screen/vnc-password.ts";
export { roomIn } from "./room.ts";
export { fileBlob, readAt, readTree } from "./tree.ts";
export { writeTree } from "./write-tree.ts";
export { lookAtAddress } from "./oci/address.ts";
export { openImage, type OciImage } from "./oci/image.ts";
export type { ImageWatch } from "./oci/image-watch.ts";
export { isOnThisMachine } from "./oci/on-this-machine.ts";
export { OciError } from "./oci/source.ts";
export { parseReference } from "./oci/reference.ts";
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
  type Known,
} from "./node/contexts.ts";
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
export { keepReceipt, readReceipt } from "./node/kept-receipt.ts";
export { ReceiptFile, isLongReceipt } from "./node/receipts/receipt-file.ts";
export { keepParts } from "./node/receipts/receipt-parts.ts";
export { EMPTIED, KEPT_BYTES_MAX } from "./node/kept-room.ts";
export { assertFingerprint } from "./node/fingerprint.ts";
export { assertFolderFor, folderFor } from "./node/folder-for.ts";
export { login, type LoggedIn, type LoginOptions, type ShownMarket } from "./node/login.ts";
export type { Exported, ExportOptions } from "./node/export.ts";
export { backupKeys, restoreKeys, type Restored } from "./node/key-backup.ts";
export { type Keys, type Rotated } from "./node/keys.ts";
export { marketHistory } from "./node/market-history.ts";
export { filesBelow } from "./node/files-below.ts";
export { assertPlaceFor, placeProblem } from "./node/place-here.ts";
export { shellWord } from "./node/shell-word.ts";
export { bootsMachine } from "./machine/vm-options.ts";
export { programAt } from "./node/program-kind.ts";
export { finishJob, parseJob, type ParsedJob } from "./node/program-job.ts";
export type { SharedFolder } from "./machine/machine-place.ts";
export type { Given, HeldBytes, ReadProgress } from "./given-bytes.ts";
export { PROGRAM_FILE, PYTHON_FILE, type ProgramKind } from "./runtimes.ts";
export { workOf, type Work } from "./node/work.ts";
export type { Interpreter } from "./program-input.ts";
export { filesIn, writeResults } from "./node/results.ts";
export { keepBroken, verifyKept } from "./node/broken-order.ts";
export { archivedRows, checkedReceipts, isArchive, isOfRows, type ArchivedRow, type CheckedReceipt } from "./node/archive/checked.ts";
export type { Appeal, AppealOptions, AppealTerms } from "./node/appeal.ts";
export { LastWills } from "./node/last-wills.ts";
export { Market, type ConnectOptions, type TracedDispute, type VerifyOptions } from "./node/market.ts";
export { dropMap, dropOldMaps, namelessMap } from "./node/map-place.ts";
export { isMapName, type MapOptions, type MapProgress, type Mapped } from "./facade/map/options.ts";
export { type MapRun } from "./facade/map/map-run.ts";
export { plannedOf } from "./node/here.ts";
export type { Audited, Dispute, DisputeOptions } from "./facade/doubting.ts";
export type { ReceiptProgress, ReceiptWatching } from "./facade/long-receipt.ts";
export type { Replica, ReplicasInput, ReplicasResult, ReplicasWatching, ReplicatedJob } from "./facade/replicated-job.ts";
export { rerun, type JobTracer, type Rerun } from "./node/rerun.ts";
export { agentExec } from "./guest/agent-exec.ts";
export { archiveIn } from "./guest/archive-in.ts";
export { archiveOut } from "./guest/archive-out.ts";
export { agentCopyIn, agentCopyOut } from "./guest/agent-copy.ts";
export { NO_OUTPUT, machineProblem } from "./machine/hold.ts";
export { leaseMemoryMib } from "./machine/lease-memory.ts";
export { forwardPort, type PortForward } from "./node/machine/port-forward.ts";
export { forkMachine, takeSnapshot, type HeldMachine } from "./machine/fork.ts";
export type { Machine } from "./node/machine/machine.ts";
export type { ExecResult, ProgramOptions, StartOptions } from "./machine/any-machine.ts";
export type { ByteStreams } from "./guest/web-streams.ts";
export type { MachineFiles } from "./node/machine/machine-files.ts";
