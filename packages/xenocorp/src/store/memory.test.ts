import { storeContract } from "./contract.ts";
import { createMemoryStore } from "./memory.ts";

storeContract("memory", async (archive) => createMemoryStore(() => 1000, archive));
