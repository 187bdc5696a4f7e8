/** `xeno mcp`: an agent rents computers, by a token with a cap. */
import type { McpInput } from "../input/verbs/mcp.ts";
import { clearLeft } from "../local/held-scratch.ts";
import { openAgentSession } from "../mcp/agent-session.ts";
import { AGENT_FOLDER } from "../mcp/job-input.ts";
import { withinFolder } from "../mcp/own-folder.ts";
import { serveAgent } from "../mcp/serve.ts";

export async function mcp({ folder }: McpInput): Promise<void> {
  if (folder !== null) await withinFolder(folder, ".");
  await clearLeft(AGENT_FOLDER);
  await serveAgent(await openAgentSession(folder));
}
