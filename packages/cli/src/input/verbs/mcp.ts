import { inputOf, text, type InputOf } from "../verb.ts";

export const mcpInput = inputOf(
  {},
  { folder: text("--folder <dir>", "the agent's jobs may read and write files of this machine in it; without it none") },
);
export type McpInput = InputOf<typeof mcpInput>;
