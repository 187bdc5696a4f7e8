/**
 * The manifest of a job's state at a checkpoint, as far as those who carry it need to read it: which pieces belong to it. The engine
 * writes it (engine/src/machine-state.ts). Who controls the input: the server; the root that it signed says whether it is the right one.
 */
import { parseUtf8 } from "./bytes.ts";
import { zId } from "./documents/parts.ts";
import * as z from "zod/mini";

const zStatePieces = z.object({
  pages: z.array(z.union([zId, z.literal("")])),
  stack: zId,
  stdout: zId,
  stderr: zId,
  nodes: z.array(z.object({ bytes: z.optional(zId) })),
});

/** The digests of what has to travel with the manifest; null where it is none. */
export function statePiecesOf(manifest: Uint8Array): string[] | null {
  try {
    const parsed = zStatePieces.safeParse(JSON.parse(parseUtf8(manifest) ?? ""));
    if (!parsed.success) return null;
    const { pages, stack, stdout, stderr, nodes } = parsed.data;
    return [...new Set([...pages.filter((digest) => digest !== ""), stack, stdout, stderr, ...nodes.flatMap(({ bytes }) => bytes ?? [])])];
  } catch {
    return null;
  }
}
