/**
 * Requests that are none: the library leaves out what its schema does not take, and whoever asked would wait for ever. Those whose number
 * can be read are refused by it. Who controls the input: the agent, every byte.
 */
import { parseJSONRPCMessage, type JSONRPCErrorResponse } from "@modelcontextprotocol/server";
import { jsonIn } from "@xenoservers/protocol";
import { z } from "zod";

const INVALID_REQUEST = -32_600;
const zAsked = z.looseObject({ id: z.union([z.string(), z.int()]), method: z.string() });

function isMessage(value: unknown): boolean {
  try {
    parseJSONRPCMessage(value);
    return true;
  } catch {
    return false;
  }
}

/** Answers to a line; none where it is a message, or nobody waits for one. */
export function refusalsOf(line: string): JSONRPCErrorResponse[] {
  const value = jsonIn(line);
  if (value === undefined || isMessage(value)) return [];
  const says = Array.isArray(value) ? "messages come one a line, not as a list" : "this is no request of JSON-RPC 2.0: it was left out";
  return [value].flat().flatMap((each) => {
    const asked = zAsked.safeParse(each);
    if (!asked.success) return [];
    return { jsonrpc: "2.0", id: asked.data.id, error: { code: INVALID_REQUEST, message: says } };
  });
}

/** Lines as they come, in pieces; whoever reads beside this ends at a line that is too long. */
export class LinesIn {
  #pieces: Buffer[] = [];

  /** Those that this piece completes. */
  take(piece: Buffer): string[] {
    const end = piece.lastIndexOf("\n");
    if (end < 0) {
      this.#pieces.push(piece);
      return [];
    }
    const whole = Buffer.concat([...this.#pieces, piece.subarray(0, end)]).toString();
    this.#pieces = [piece.subarray(end + 1)];
    return whole.split("\n");
  }

  clear(): void {
    this.#pieces = [];
  }
}
