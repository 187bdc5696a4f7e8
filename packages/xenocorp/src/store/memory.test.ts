import type { ArchiveReader } from "./archived.ts";
import { storeContract } from "./contract.ts";
import { figuresContract } from "./figures.contract.ts";
import { createMemoryStore } from "./memory.ts";

const open = async (archive?: ArchiveReader) => createMemoryStore(() => 1000, archive);
storeContract("memory", open);
figuresContract("memory", open);
