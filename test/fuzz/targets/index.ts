/** All targets, in the order in which they are played. */
import type { Target } from "../target.ts";
import { CHANNEL_TARGETS } from "./channel.ts";
import { DOCUMENT_TARGETS } from "./documents.ts";
import { GUEST_TARGETS } from "./guests.ts";
import { LOG_TARGETS } from "./log.ts";
import { MACHINE_TARGETS } from "./machines.ts";
import { MOVE_TARGETS } from "./moves.ts";
import { SCREEN_TARGETS } from "./screens.ts";
import { SERVER_TARGETS } from "./servers.ts";
import { WORD_TARGETS } from "./words.ts";
import { XEN_TARGETS } from "./xen.ts";

export const TARGETS: readonly Target[] = [
  ...[...DOCUMENT_TARGETS, ...LOG_TARGETS, ...WORD_TARGETS],
  ...[...CHANNEL_TARGETS, ...GUEST_TARGETS, ...MACHINE_TARGETS, ...MOVE_TARGETS],
  ...[...SCREEN_TARGETS, ...SERVER_TARGETS, ...XEN_TARGETS],
];
