/** Why a guest's shell does not serve: it has none, or serves as many as it can. */
import { NO_SHELL, SHELL_FULL } from "@xenoservers/protocol/channel";

/** Whether a program or a copy failed for want of a shell of ours: the guest has no Perl to run it. */
export const isWithoutShell = (error: unknown): boolean => error instanceof Error && error.message.startsWith(NO_SHELL);

/** Whether it was not begun since as many others run as can. */
export const isShellFull = (error: unknown): boolean => error instanceof Error && error.message.endsWith(SHELL_FULL);
