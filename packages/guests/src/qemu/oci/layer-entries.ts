/**
 * What a layer of an image, or what a guest hands back, holds: damage of it is the customer's own. Who controls the inputs: the customer,
 * every byte.
 */
import type { FileHandle } from "node:fs/promises";
import { TarDamage, readTar, type TarEntry } from "@xenoservers/protocol/archive";
import { Refusal } from "../refusal.ts";

/** Throws Refusal where it is damaged. */
export async function* layerEntries(file: FileHandle, size: number): AsyncGenerator<TarEntry> {
  try {
    yield* readTar(file, size);
  } catch (cause) {
    throw cause instanceof TarDamage ? new Refusal("bytes", `a layer is damaged: ${cause.message}`, { cause }) : cause;
  }
}
