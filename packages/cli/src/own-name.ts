import path from "node:path";

/** What people type to start this program: in a checkout of the repository npm finds it, installed it is a command. */
export const XENO = path.extname(import.meta.filename) === ".ts" ? "npx xeno" : "xeno";
