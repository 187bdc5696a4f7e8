import { storeContract } from "./contract.ts";
import { figuresContract } from "./figures.contract.ts";
import { createMemoryStore } from "./memory.ts";

const open = async () => createMemoryStore(() => 1000);
storeContract("memory", open);
figuresContract("memory", open);
