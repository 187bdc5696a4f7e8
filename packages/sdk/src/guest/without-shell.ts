/** A guest that has nothing but its agent. */
import { NO_SHELL } from "@xenoservers/protocol/channel";

/** Whether a program or a copy failed for want of a shell of ours: the guest has no Perl to run it. */
export const isWithoutShell = (error: unknown): boolean => error instanceof Error && error.message.startsWith(NO_SHELL);
